"""Results of a comparison's networks, one line of results.jsonl each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.compare.trials import Trial
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """A finished network.

    Attributes:
      trial: the network.
      accuracy: on the test split (or validation, where there is none), 0..1.
      epochs: passes over the training images.
      seconds: training time.
      run: the run's directory, relative to the work directory.
    """

    trial: Trial
    accuracy: float
    epochs: int
    seconds: float
    run: str

    def to_json(self) -> dict[str, Any]:
        """A line of results.jsonl."""
        return {
            **dataclasses.asdict(self.trial),
            "accuracy": self.accuracy,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "run": self.run,
        }

    @classmethod
    def from_json(cls, value: Any) -> TrialResult:
        """The inverse of `to_json`. Raises KeyError or TypeError if something is missing."""
        trial = Trial(value["cipher"], value["kind"], value["front_end"], value["seed"])
        return cls(trial, value["accuracy"], value["epochs"], value["seconds"], value["run"])


def read(path: str) -> list[TrialResult]:
    """Reads results.jsonl; empty if it is not there. Raises DataError if it is damaged."""
    if not storage.exists(path):
        return []
    try:
        lines = storage.read_bytes(path).decode().splitlines()
        return [TrialResult.from_json(json.loads(line)) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); delete it: finished networks are only measured again"
        ) from error


def write(path: str, results: Sequence[TrialResult]) -> None:
    """Writes results.jsonl."""
    text = "".join(json.dumps(result.to_json()) + "\n" for result in results)
    storage.write_atomic(path, text.encode())
