"""Examples as Keras takes them, on any backend. Importing this module imports Keras."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from train.data import EpochClock, Examples
from transforms.errors import LpeError


class Batches(keras.utils.PyDataset):
    """The batches of the epoch that the clock shows."""

    def __init__(self, examples: Examples, clock: EpochClock) -> None:
        super().__init__(workers=1)  # reading ahead is up to `Examples`, which knows the next epoch's order
        self._examples = examples
        self._clock = clock
        self._failure: LpeError | None = None

    def __len__(self) -> int:
        return self._examples.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            return self._examples.batch(self._clock.epoch, index)
        except LpeError as error:
            self._failure = error
            raise

    @contextlib.contextmanager
    def failing_clearly(self) -> Iterator[None]:
        """Raises the error of a batch that could not be had as it was; TensorFlow makes another one of it."""
        try:
            yield
        except Exception:
            if self._failure is not None:
                raise self._failure from None
            raise
