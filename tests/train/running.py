"""Runs in tests: how to kill one, the metrics that one leaves, and Python in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from lpe.train.loop import TrainSpec, fit
from lpe.train.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]


def finished_run(data, output):
    """The spec of a run of two epochs on the dataset at `data`, carried out."""
    spec = TrainSpec(data=data, output=str(output), epochs=2, recipe=Recipe(batch_size=16))
    fit(spec)
    return spec


class KilledError(Exception):
    """Stands for the death of the process."""


def kill_after(epoch):
    """A `progress` that ends the training after an epoch, from 1."""

    def progress(done, epochs, logs, images_per_second):
        if done == epoch:
            raise KilledError

    return progress


def metrics(output):
    """The metrics of each epoch of the run in `output`, without its timings."""
    lines = [json.loads(line) for line in Path(output, "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "images_per_second")} for line in lines]


def run_python(program, *arguments, **environment):
    """Standard output of a Python program in a process of its own."""
    settings = {key: value for key, value in os.environ.items() if key not in ("KERAS_BACKEND", "XLA_FLAGS")}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**settings, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
