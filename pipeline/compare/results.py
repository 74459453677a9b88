"""Results of a comparison's networks, one line of results.jsonl each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.compare.schemes import Scheme
from lpe.pipeline.compare.trials import KINDS, Trial
from lpe.pipeline.storage.documents import MOST_BYTES, Fields, parse_document

_REMEDY = "delete the file: finished networks are only measured again"


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
            **dataclasses.asdict(self.trial.scheme),
            "kind": self.trial.kind,
            "front_end": self.trial.front_end,
            "seed": self.trial.seed,
            "accuracy": self.accuracy,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "run": self.run,
        }

    @classmethod
    def from_json(cls, line: Fields) -> TrialResult:
        """The inverse of `to_json`. Raises DataError if something is missing or damaged."""
        kind = line.text("kind")
        if kind not in KINDS:
            line.refuse("there is no such kind of network")
        # The first comparisons knew no reductions.
        scheme = Scheme(line.text("cipher"), line.text("reduction") if line.has("reduction") else "")
        trial = Trial(scheme, kind, line.text("front_end"), line.integer("seed", 0, 2**32 - 1))
        if line.text("run") != trial.directory:
            line.refuse("'run' is not the directory of such a network")
        return cls(
            trial,
            line.number("accuracy", 0, 1),
            line.integer("epochs", 1),
            line.number("seconds", 0),
            trial.directory,
        )


def read(path: str) -> list[TrialResult]:
    """Reads results.jsonl; empty if it is not there. Raises DataError if it is damaged."""
    if not storage.exists(path):
        return []
    with storage.open_read(path) as file:
        lines = file.read(MOST_BYTES).splitlines()
    return [
        TrialResult.from_json(parse_document(line, f"{path}: line {number}", _REMEDY))
        for number, line in enumerate(lines, 1)
    ]


def write(path: str, results: Sequence[TrialResult]) -> None:
    """Writes results.jsonl."""
    text = "".join(json.dumps(result.to_json()) + "\n" for result in results)
    storage.write_atomic(path, text.encode())
