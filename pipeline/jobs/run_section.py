"""A training run's section of a page: what was trained on what, how well, and its curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lpe.pipeline.html.chart import Chart, chart
from lpe.pipeline.storage.documents import read_document
from lpe.train.loop import TrainResult
from lpe.train.resuming import resuming_command
from lpe.train.run_state import METRICS_FILE, History, best_epoch, read_history
from lpe.train.runs import RUN_FILE, SPEC_FILE, load_run


@dataclasses.dataclass(frozen=True)
class RunSection:
    """What the page shows of a run.

    Attributes:
      title: the directory.
      properties: by name.
      accuracy: `train` and `validation` of the best epoch, 0..1; None for an unfinished run.
      charts: accuracy and loss by epoch; none before the first epoch.
      resume: of an unfinished run: the command that finishes it; else None.
    """

    title: str
    properties: Mapping[str, str]
    accuracy: Mapping[str, float] | None
    charts: tuple[Chart, ...]
    resume: str | None


def is_run(path: str) -> bool:
    """Whether a directory holds a training run, finished or not."""
    return any(Path(path, name).is_file() for name in (RUN_FILE, SPEC_FILE))


def run_section(path: str) -> RunSection:
    """Gathers what is shown of a run. Raises DataError if its files are damaged."""
    history = read_history(Path(path, METRICS_FILE))
    if not Path(path, RUN_FILE).exists():
        return _unfinished(path, history)
    run = load_run(path)
    properties = TrainResult.of(run, skipped=False).properties()
    properties["model"] = run.model
    properties["epochs"] = f"{run.epochs}, best {run.best_epoch}"
    properties["classes"] = str(len(run.class_names))
    return RunSection(path, properties, run.accuracy, _charts(history), None)


def _unfinished(path: str, history: History) -> RunSection:
    spec = read_document(str(Path(path, SPEC_FILE)), f"delete {path} and train again")
    properties = {
        "run": path,
        "data": spec.text("data"),
        "model": spec.text("model"),
        "front end": spec.text("front_end"),
        "epochs": f"{len(history)} of {spec.integer('epochs')} finished",
    }
    return RunSection(path, properties, None, _charts(history), resuming_command(path, spec))


def _charts(history: History) -> tuple[Chart, ...]:
    if not history:
        return ()
    best = best_epoch(history)
    return tuple(
        chart(
            metric,
            {
                "training": [float(line[metric]) for line in history],
                "validation": [float(line[f"val_{metric}"]) for line in history],
            },
            top=top,
            marked=best,
        )
        for metric, top in (("accuracy", 1.0), ("loss", None))
    )
