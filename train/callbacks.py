"""Keras callbacks of a run. Importing this module imports Keras."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lpe.train.data import EpochClock
from lpe.train.progress import RunState
from lpe.transforms.errors import LpeError

Progress = Callable[[int, int, Mapping[str, float], float], None]
"""Called after each epoch with (epoch from 1, epochs, metrics, training images per second)."""


class Clock(keras.callbacks.Callback):
    """Tells the input which epoch's order of images is next."""

    def __init__(self, clock: EpochClock) -> None:
        super().__init__()
        self._clock = clock

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._clock.epoch = epoch


def averaged_weights() -> keras.callbacks.Callback:
    """Validates the moving averages of the weights instead of the weights."""
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=False)


class Commit(keras.callbacks.Callback):
    """Saves each epoch in the run's state, then reports it.

    Raises (out of `fit`):
      LpeError: the loss is no longer a number.
    """

    def __init__(
        self, state: RunState, images_per_epoch: int, epochs: int, progress: Progress | None
    ) -> None:
        super().__init__()
        self._state = state
        self._images = images_per_epoch
        self._epochs = epochs
        self._progress = progress
        self._start = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = self._trained = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        if not all(math.isfinite(value) for value in metrics.values()):
            raise LpeError(
                f"the loss of epoch {epoch + 1} is not a number; train again with a lower --learning-rate "
                "into another --output"
            )
        speed = self._images / (self._trained - self._start)
        line = {
            "epoch": epoch + 1,
            **metrics,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - self._start, 3),
            "images_per_second": round(speed, 1),
        }
        self._state.commit(line, self.model)
        if self._progress is not None:
            self._progress(epoch + 1, self._epochs, metrics, speed)


class Scalars(keras.callbacks.Callback):
    """Writes each epoch's metrics for TensorBoard, as `keras.callbacks.TensorBoard` lays them out.

    That one needs TensorFlow or PyTorch; this one the package `tensorboard` alone.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self._directory = directory

    def on_train_begin(self, logs: Any = None) -> None:
        self._writers = {
            part: EventFileWriter(f"{self._directory}/{part}") for part in ("train", "validation")
        }

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            scalar = Summary.Value(tag=f"epoch_{name.removeprefix('val_')}", simple_value=float(value))
            event = Event(wall_time=time.time(), step=epoch, summary=Summary(value=[scalar]))
            self._writers[part].add_event(event)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
