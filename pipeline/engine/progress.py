"""Progress of a job: what it reports while it runs, to a screen or to nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

Update = Callable[[int, int], None]
"""Called with images done and images in all, from the job's watching thread."""


class Progress(Protocol):
    """A listener to a job of several steps; its methods return quickly and raise nothing."""

    def note(self, line: str) -> None:
        """Takes a line about the work that goes on."""

    def status(self, line: str) -> None:
        """Takes what goes on now; called often, and from several threads."""

    def progress(self, title: str, unit: str = "images") -> AbstractContextManager[Update]:
        """Follows one step: the block is its duration, what it yields is called now and then."""

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Takes the metrics of a finished epoch of training, from 1."""


class Silent:
    """A `Progress` that nobody follows."""

    def note(self, line: str) -> None:
        """Ignores the line."""

    def status(self, line: str) -> None:
        """Ignores the line."""

    @contextlib.contextmanager
    def progress(self, title: str, unit: str = "images") -> Iterator[Update]:
        """Ignores the step."""
        yield lambda done, total: None

    def epoch(self, epoch: int, epochs: int, logs: Mapping[str, float], images_per_second: float) -> None:
        """Ignores the epoch."""
