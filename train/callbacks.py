"""Keras callbacks of a run. Importing this module imports Keras."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import keras

from lpe.train.keras_types import Callback, Logs
from lpe.train.loading.examples import Examples
from lpe.train.loading.inputs import EpochClock
from lpe.train.progress import Progress, Status
from lpe.train.run_state import RunState
from lpe.transforms.errors import LpeError


class Clock(Callback):
    """Sets the clock that the training input takes its epoch from."""

    def __init__(self, clock: EpochClock) -> None:
        super().__init__()
        self._clock = clock

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Sets the clock to an epoch, from 0."""
        self._clock.epoch = epoch


def averaged_weights() -> Any:
    """A callback by which the moving averages of the weights are validated instead of the weights."""
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=False)


class Commit(Callback):
    """Saves each epoch in the run's state, then reports it.

    Args:
      state: where epochs are saved.
      images_per_epoch: training images, for the speed.
      epochs: how many there are in all.
      progress: called after each epoch.

    Raises:
      LpeError: out of `keras.Model.fit`, when the loss is no longer a number.
    """

    def __init__(
        self, state: RunState, images_per_epoch: int, epochs: int, progress: Progress | None
    ) -> None:
        super().__init__()
        self._state = state
        self._images_per_epoch = images_per_epoch
        self._epochs = epochs
        self._progress = progress
        self._begun_at = self._trained_at = 0.0  # seconds of `time.perf_counter`

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Starts the clock of an epoch."""
        self._begun_at = self._trained_at = time.perf_counter()

    def on_test_begin(self, logs: Logs = None) -> None:
        """Notes when training gave way to validation."""
        self._trained_at = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Saves and reports an epoch, from 0."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        if not all(math.isfinite(value) for value in metrics.values()):
            raise LpeError(
                f"the loss of epoch {epoch + 1} is not a number; train again with a lower --learning-rate "
                "into another --output"
            )
        speed = self._images_per_epoch / (self._trained_at - self._begun_at)
        line = {
            "epoch": epoch + 1,
            **metrics,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - self._begun_at, 3),
            "images_per_second": round(speed, 1),
        }
        self._state.commit(line, self.model)
        if self._progress is not None:
            self._progress(epoch + 1, self._epochs, metrics, speed)


class Steps(Callback):
    """Says after each batch how far an epoch has come.

    Args:
      train: the batches of an epoch.
      validation: those that it is validated on.
      epochs: how many there are in all.
      status: called with a line.
    """

    async_safe = True  # so that no batch waits for the metrics of the one before, which Keras hands over here

    def __init__(self, train: Examples, validation: Examples, epochs: int, status: Status) -> None:
        super().__init__()
        self._train = train
        self._validation = validation
        self._epochs = epochs
        self._status = status
        self._epoch = ""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Says that an epoch begins, from 0: the first one's first step takes long, since Keras compiles it."""
        self._epoch = f"epoch {epoch + 1} of {self._epochs}"
        self._status(f"{self._epoch}: preparing the first step")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Says how many images were trained on after a batch, from 0."""
        self._report("", self._train, batch)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Says how many images were validated after a batch, from 0."""
        self._report("validation, ", self._validation, batch)

    def _report(self, part: str, examples: Examples, batch: int) -> None:
        size = examples.batch_size
        done, total = min((batch + 1) * size, examples.count), min(examples.steps * size, examples.count)
        self._status(f"{self._epoch}: {part}{done:,} of {total:,} images")


class Scalars(Callback):
    """Writes each epoch's metrics for TensorBoard, as `keras.callbacks.TensorBoard` lays them out.

    That one needs TensorFlow or PyTorch; this one the package `tensorboard` alone.

    Args:
      directory: where `train/` and `validation/` are made.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the metrics of an epoch, from 0."""
        # Imported here, not to keep the first step waiting.
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415

        if not self._writers:
            self._writers = {
                part: EventFileWriter(str(self._directory / part)) for part in ("train", "validation")
            }
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            scalar = Summary.Value(tag=f"epoch_{name.removeprefix('val_')}", simple_value=float(value))
            event = Event(wall_time=time.time(), step=epoch, summary=Summary(value=[scalar]))
            self._writers[part].add_event(event)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Closes the event files."""
        for writer in self._writers.values():
            writer.close()
