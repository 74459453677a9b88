"""The report that a training run gives after each epoch."""

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
