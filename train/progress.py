"""The reports that a training run gives: a line on what goes on, and the metrics of each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """A function that is called after each epoch, in the thread that called `fit`.

    An exception that it raises ends the training; the epoch is saved by then, and the next `fit` goes on after it.
    """

    def __call__(
        self, epoch: int, epochs: int, metrics: Mapping[str, float], images_per_second: float, /
    ) -> None:
        """Reports a finished epoch.

        Args:
          epoch: its number, from 1.
          epochs: how many there will be.
          metrics: `loss`, `accuracy`, `val_loss`, `val_accuracy`; losses in nats, accuracies 0..1.
          images_per_second: of training, validation left out.
        """


class Status(Protocol):
    """A function that is called whenever the work moves on.

    It is called many times a second, from threads of the training's own; what it raises is lost.
    """

    def __call__(self, line: str, /) -> None:
        """Takes what goes on now, e.g. `epoch 2 of 4: 1,280 of 3,584 images`."""


def unheard(line: str) -> None:
    """A `Status` that nobody reads."""


def describe_epoch(epoch: int, epochs: int, metrics: Mapping[str, float], images_per_second: float) -> str:
    """The report of a finished epoch in one line; arguments as for `Progress`."""
    return (
        f"epoch {epoch}/{epochs}: accuracy {metrics['accuracy']:.1%}, validation {metrics['val_accuracy']:.1%}, "
        f"{images_per_second:,.0f} images/s"
    )
