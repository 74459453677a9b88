"""A look at a job now and then while it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator

from lpe.transforms.errors import LpeError


@dataclasses.dataclass(frozen=True)
class Watch:
    """Follows a job while it runs.

    Attributes:
      look: called now and then, and at the end.
      every: seconds between two looks.
    """

    look: Callable[[], None]
    every: float


@contextlib.contextmanager
def watched(watch: Watch | None) -> Iterator[None]:
    """Looks at the job now and then while the block lasts, and once when it ends."""
    if watch is None:
        yield
        return
    ended = threading.Event()

    def look_on() -> None:
        last = False
        while not last:
            last = ended.wait(watch.every)
            with contextlib.suppress(LpeError, OSError):  # what cannot be looked at now may be later
                watch.look()

    watcher = threading.Thread(target=look_on, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
