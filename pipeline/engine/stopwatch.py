"""The time that each phase of a shard's work takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Measures phases, one within another: a second belongs to the innermost.

    For one thread.

    Attributes:
      seconds: by phase.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @contextlib.contextmanager
    def measuring(self, phase: str) -> Iterator[None]:
        """Counts the block's time as the phase's."""
        self._switch()
        self._running.append(phase)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def measuring_each(self, phase: str, items: Iterable[T]) -> Iterator[T]:
        """Passes the items on, and counts as the phase's the time that it takes to get each."""
        iterator = iter(items)
        while True:
            with self.measuring(phase):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            phase = self._running[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
