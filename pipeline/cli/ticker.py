"""A sign of life: what goes on now, said again whenever nothing else has been for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SECONDS = 4.0
"""The longest silence."""


class Ticker:
    """Writes what goes on, and for how long, whenever nothing has been written for `SECONDS`.

    It has a thread of its own, which ends with `stop`.

    Args:
      write: called with a line, from that thread.
      state: what goes on at first.
    """

    def __init__(self, write: Callable[[str], None], state: str) -> None:
        self._write = write
        self._state = state
        self._began = self._written = time.monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._tick, name="lpe-ticker", daemon=True).start()

    def say(self, state: str) -> None:
        """Sets what goes on now; it is only written if it lasts, or if there is nothing else to write."""
        if state != self._state:
            self._state, self._began = state, time.monotonic()

    def written(self) -> None:
        """Notes that something else was written."""
        self._written = time.monotonic()

    def stop(self) -> None:
        """Ends it; any number of times."""
        self._stopped.set()

    def _tick(self) -> None:
        while not self._stopped.wait(min(1.0, SECONDS / 4)):
            now = time.monotonic()
            if now - self._written >= SECONDS:
                self._written = now
                lasting = now - self._began
                self._write(f"{self._state} … {lasting:.0f} s" if lasting >= 1 else self._state)
