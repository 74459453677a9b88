"""Progress of a job, reported to whoever runs it: lines, bars, epochs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

Update = Callable[[int, int], None]
"""Called with images done and images in all."""


class Progress(Protocol):
    """Where a job reports its progress. Called from the thread that runs the job; what it does changes no result."""

    def note(self, line: str) -> None:
        """Reports in one line what is being done."""

    def progress(self, title: str, unit: str = "images") -> AbstractContextManager[Update]:
        """Opens a progress bar, or what stands for one, that lasts as long as the block."""

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Reports a finished epoch of training.

        Args:
          epoch: its number, from 1.
          epochs: how many there will be.
          logs: at least `accuracy` and `val_accuracy`, 0..1.
          images_per_second: training images.
        """


class Silent:
    """Progress that nobody watches."""

    def note(self, line: str) -> None:
        """Does nothing."""

    def progress(self, title: str, unit: str = "images") -> AbstractContextManager[Update]:
        """A bar that is not drawn."""
        return contextlib.nullcontext(lambda done, total: None)

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Does nothing."""
