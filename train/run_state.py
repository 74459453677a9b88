"""The state of an unfinished run: metrics of finished epochs and the weights to go on from.

    RUN/metrics.jsonl                         one line an epoch
    RUN/checkpoints/epoch-0003.weights.h5     weights and optimiser after an epoch: the newest and the best

A line is on disk before its weights are, and weights appear under their name when they are complete.
So after a kill at any moment the newest weights are whole and have all their lines; a line beyond
them is dropped, and its epoch is trained again. (`keras.callbacks.BackupAndRestore` writes weights
in place, and the epoch's number after them: a kill between the two makes it repeat an epoch.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from lpe.pipeline import storage
from lpe.pipeline.storage.documents import parse_document
from lpe.transforms.errors import DataError

METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
_SUFFIX = ".weights.h5"
_MOST_LINE = 1 << 16

History = list[dict[str, Any]]
"""The metrics of each epoch, from the first: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `seconds`, …"""


class SavesWeights(Protocol):
    """The part of `keras.Model` that a checkpoint needs."""

    def save_weights(self, path: Path, /) -> None:
        """Writes weights and optimiser to a `.weights.h5` file."""


def best_epoch(history: History) -> int:
    """The epoch, from 1, of the highest validation accuracy; the first of equals. `history` must not be empty."""
    best = max(history, key=lambda line: (line["val_accuracy"], -line["epoch"]))
    return int(best["epoch"])


class RunState:
    """The metrics and checkpoints of the run in a directory.

    For one thread of one process: nothing here locks the directory.

    Args:
      directory: the run's directory, which exists.

    Attributes:
      history: the metrics of the finished epochs, as of `recover` and each `commit` since.
    """

    def __init__(self, directory: Path) -> None:
        self._metrics = directory / METRICS_FILE
        self._checkpoints = directory / CHECKPOINTS
        self.history: History = []

    def recover(self) -> int:
        """Reads `history`, drops lines without weights, and returns how many epochs are finished."""
        lines = read_history(self._metrics)
        finished = next((n for n in range(len(lines), 0, -1) if self._has_weights(lines[:n])), 0)
        self.history = lines[:finished]
        text = "".join(json.dumps(line) + "\n" for line in self.history)
        storage.write_atomic(str(self._metrics), text.encode())
        self._checkpoints.mkdir(exist_ok=True)
        return finished

    def weights_path(self, epoch: int) -> Path:
        """The file with weights and optimiser after `epoch`, counted from 1."""
        return self._checkpoints / f"epoch-{epoch:04d}{_SUFFIX}"

    def commit(self, line: dict[str, Any], model: SavesWeights) -> None:
        """Adds an epoch, and deletes the checkpoints that are neither the newest nor the best.

        Args:
          line: its metrics, `epoch` and `val_accuracy` among them.
          model: the network after it.
        """
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.history.append(line)
        newest = self.weights_path(line["epoch"])
        partial = newest.with_name(f"partial{_SUFFIX}")
        model.save_weights(partial)
        partial.replace(newest)
        needed = {newest, self.weights_path(best_epoch(self.history))}
        for path in self._checkpoints.iterdir():
            if path not in needed:
                path.unlink()

    def _has_weights(self, lines: History) -> bool:
        epochs = (len(lines), best_epoch(lines))
        return all(self.weights_path(epoch).exists() for epoch in epochs)


def read_history(path: Path) -> History:
    """The metrics of epochs 1, 2, … in a `metrics.jsonl`, up to the first line that is torn, damaged or missing."""
    lines: History = []
    if path.exists():
        with path.open("rb") as file:
            while text := file.readline(_MOST_LINE):
                try:
                    lines.append(_read_line(text, path, len(lines) + 1))
                except DataError:
                    break
    return lines


def _read_line(text: bytes, path: Path, epoch: int) -> dict[str, Any]:
    """A line of the metrics. Raises DataError unless it is this epoch's and whole."""
    line = parse_document(text, str(path), "delete it and train again")
    line.integer("epoch", epoch, epoch)
    for name in ("accuracy", "val_accuracy"):
        line.number(name, 0, 1)
    for name in ("loss", "val_loss", "seconds"):
        line.number(name, 0)
    return dict(line.raw())
