"""The training of one network of `lpe run`, in a process of its own.

It stands apart from the run, since a process imports the module of what it is to do: this one needs no Beam.
"""

from __future__ import annotations

import dataclasses
import time

from lpe.pipeline.jobs.side_by_side import Listener
from lpe.train import backend
from lpe.train.evaluate import Evaluation, evaluate
from lpe.train.loop import TrainResult, TrainSpec, fit
from lpe.train.progress import describe_epoch
from lpe.train.runs import load_run

PRELOAD = "lpe.train.preloaded"
"""For `SideBySide`."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network that was trained and evaluated, and what that took."""

    train: TrainResult
    train_seconds: float
    evaluation: Evaluation
    evaluate_seconds: float


def load_backend(listener: Listener) -> None:
    """What a process does before there is data."""
    listener.status(f"loading {backend.title()}")
    backend.load()


def train_and_evaluate(settings: TrainSpec, split: str, listener: Listener) -> Trained:
    """The work of a process of its own."""
    started = time.monotonic()
    result = fit(settings, lambda *epoch: listener.note(describe_epoch(*epoch)), listener.status)
    trained = time.monotonic()
    listener.status(f"measuring it on split {split}")
    evaluation = evaluate(load_run(result.run), settings.data, split, data_key=settings.data_key)
    return Trained(result, trained - started, evaluation, time.monotonic() - trained)
