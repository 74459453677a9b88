"""Examples as Keras takes them, on any backend. Importing this module imports Keras."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from lpe.train.keras_types import PyDataset
from lpe.train.loading.examples import Examples
from lpe.train.loading.inputs import EpochClock
from lpe.transforms.errors import LpeError


class Batches(PyDataset):
    """The batches of the epoch that a clock shows.

    Keras calls it from one thread of its own; the clock is set between epochs, when that thread waits.

    Args:
      examples: the batches of all epochs.
      clock: shows the epoch.
      devices: how many share each batch. Where there are several, a batch that they cannot share is filled up with
        images of weight 0.
    """

    def __init__(self, examples: Examples, clock: EpochClock, devices: int = 1) -> None:
        super().__init__(workers=1)  # reading ahead is up to `Examples`, which knows the next epoch's order
        self._examples = examples
        self._clock = clock
        self._devices = devices
        self._failure: LpeError | None = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._examples.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Images uint8 [B, H, W, C], labels int64 [B] and, on several devices, weights float32 [B], 0 or 1."""
        try:
            images, labels = self._examples.batch(self._clock.epoch, index)
        except LpeError as error:
            self._failure = error
            raise
        if self._devices == 1:
            return images, labels
        missing = -len(labels) % self._devices
        weights = np.pad(np.ones(len(labels), np.float32), (0, missing))
        return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))), np.pad(labels, (0, missing)), weights

    @contextlib.contextmanager
    def failing_clearly(self) -> Iterator[None]:
        """Raises the error of an unreadable batch as it was, where the backend wraps it in one of its own."""
        try:
            yield
        except Exception:
            if self._failure is not None:
                raise self._failure from None
            raise
