"""`lpe train` killed at its file events and run again: the same network, and nothing left."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.faults.killing import KILLED, Commands, budget, passing, sample, tree, warm
from tests.train.running import metrics

WORDS = ("train", "--data", "@/plain/s", "--output", "@/run", "--epochs", "2", "--batch-size", "16")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with warm("train") as parent:
        commands = Commands(parent, tmp_path_factory.mktemp("training"))
        commands.done("ingest", "--source", "synthetic:60", "--output", "@/plain/s")
        commands.snapshot("before")
        yield commands


def outcome(run: Path) -> dict[str, Any]:
    """What a run is, without times."""
    described = json.loads((run / "run.json").read_text())
    described.pop("seconds")
    with zipfile.ZipFile(run / "model.keras") as model:
        weights = h5py.File(io.BytesIO(model.read("model.weights.h5")))
    arrays = {}
    weights.visititems(
        lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
    )
    names = {name for name in tree(run) if not name.startswith("tensorboard/")}
    return {"run": described, "metrics": metrics(run), "weights": arrays, "files": names}


@pytest.mark.slow
def test_a_killed_training_run_again_gives_the_same_network(commands):
    run = commands.done(*WORDS)
    whole = outcome(commands.place / "run")
    before, problems = tree(commands.place / "plain"), []
    points = [at for at in sample(len(run.events), max(3, budget() // 10)) if not passing(run.events[at - 1])]
    for at in points:
        commands.restore("before")
        killed = commands.run(*WORDS, at=at)
        assert killed.code == KILLED, killed
        again = commands.run(*WORDS)
        if again.code != 0:
            found = [again.err]
        else:
            ended = outcome(commands.place / "run")
            found = [name for name in ("run", "metrics", "files") if ended[name] != whole[name]]
            found += [
                name
                for name, array in whole["weights"].items()
                if not np.array_equal(ended["weights"][name], array)
            ]
        found += [f"stray: {path}" for path in commands.strays()]
        problems += [f"killed at {at}, {killed.events[-1]}: {problem}" for problem in found]
        assert tree(commands.place / "plain") == before
    print(f"train: killed at {len(points)} of {len(run.events)} events")
    assert not problems, "\n".join(problems)
