"""Fetching ahead in a known order, a bounded number of bytes."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
from collections.abc import Callable, Sequence

from lpe.pipeline.storage.download import Wanted

_THREADS = 2
_MOST_AHEAD = 4


class Prefetch:
    """Has objects fetched before they are opened, in the order in which they will be.

    Threads may share one.

    Args:
      fetch: brings one into the cache; takes a moment for one that is there.
      most_bytes: how much is ahead at most of what is opened, so that nothing is evicted before it is.
    """

    def __init__(self, fetch: Callable[[Wanted], None], most_bytes: int) -> None:
        self._fetch = fetch
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._coming: dict[str, Wanted] = {}  # not opened yet, in order
        self._positions: dict[str, int] = {}
        self._ahead: dict[str, tuple[int, concurrent.futures.Future[None]]] = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="lpe-prefetch")

    def expect(self, order: Sequence[tuple[str, Wanted]]) -> None:
        """Sets what will be opened next, by key."""
        with self._lock:
            for _, future in self._ahead.values():
                future.cancel()
            self._coming = dict(order)
            self._ahead = {
                key: (size, future)
                for key, (size, future) in self._ahead.items()
                if key in self._coming and not future.cancelled()
            }
            self._positions = {key: position for position, key in enumerate(self._coming)}
            self._start_more()

    def positions(self) -> dict[str, int]:
        """Where each of those that are still to be opened stands in the order."""
        with self._lock:
            return {key: self._positions[key] for key in self._coming}

    def wait(self, key: str) -> None:
        """Waits for one that is about to be opened, if it is being fetched. Raises what fetching raised."""
        with self._lock:
            _, future = self._ahead.get(key, (0, None))
        if future is None or future.cancel():
            return
        try:
            future.result()
        except BaseException:
            with self._lock:
                self._ahead.pop(key, None)  # whoever asks again has it tried again
            raise

    def opened(self, key: str) -> None:
        """Goes on behind one that has been opened: those before it were opened earlier, or are not needed."""
        with self._lock:
            if key in self._coming:
                for passed in list(itertools.takewhile(lambda other: other != key, self._coming)):
                    del self._coming[passed]
                    self._ahead.pop(passed, None)
                del self._coming[key]
            self._ahead.pop(key, None)
            self._start_more()

    def _start_more(self) -> None:
        """Starts fetching what comes next, as far as that is not too much."""
        taken = sum(size for size, _ in self._ahead.values())
        for key, wanted in self._coming.items():
            if len(self._ahead) >= _MOST_AHEAD:
                break
            if key in self._ahead:
                continue
            taken += wanted.size
            if taken > self._most_bytes:
                break
            self._ahead[key] = (wanted.size, self._pool.submit(self._fetch, wanted))
