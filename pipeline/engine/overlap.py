"""Reading ahead and writing behind, in threads: what they do is done within NumPy and the system, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """The items, each of which is made in a thread while the one before is used."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, "lpe-read") as thread:
        future = thread.submit(next, iterator, None)
        while (item := future.result()) is not None:
            future = thread.submit(next, iterator, None)
            yield item


class WriteBehind(Generic[T]):
    """Calls of a function, one after the other, in a thread; the caller is one call ahead at most.

    The end of a `with` block waits for the last call. An error of a call is raised by the next one, or at the end.

    Args:
      function: what is called.
    """

    def __init__(self, function: Callable[[T], None]) -> None:
        self._function = function
        self._thread = ThreadPoolExecutor(1, "lpe-write")
        self._last: Future[None] | None = None

    def __call__(self, item: T) -> None:
        """Has the function called with the item. Raises what the call before raised."""
        self._wait()
        self._last = self._thread.submit(self._function, item)

    def __enter__(self) -> WriteBehind[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.shutdown()

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()
