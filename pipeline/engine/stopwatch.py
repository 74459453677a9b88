"""Where a shard's time goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Measures stages, one within another: a second belongs to the innermost.

    Attributes:
      seconds: by stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @contextlib.contextmanager
    def measuring(self, stage: str) -> Iterator[None]:
        """Counts the block's time as the stage's."""
        self._switch()
        self._running.append(stage)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Counts as the stage's what it takes to get each item."""
        iterator = iter(items)
        while True:
            with self.measuring(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            stage = self._running[-1]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
