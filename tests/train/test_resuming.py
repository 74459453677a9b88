"""The command line that finishes an unfinished run: it asks for the very run that was begun."""

import dataclasses
import json
import shlex

import pytest

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.app import main
from lpe.train.loop import TrainSpec
from lpe.train.recipes import RECIPES, Recipe
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError


class BegunError(Exception):
    """Stands for the death of the process before its first epoch."""


def begun(monkeypatch, arguments=None):
    """The spec that `lpe train` begins with."""
    specs = []

    def fit(spec, progress, status):
        specs.append(spec)
        raise BegunError

    with monkeypatch.context() as context:
        context.setattr(lpe, "fit", fit)
        for check in ("check_dataset", "check_run"):  # nothing is at the paths here
            context.setattr(checks, check, lambda path: None)
        assert main(arguments) == 1
    return specs[0]


def unfinished(spec, place, **changes):
    """A run's directory with the record of its start."""
    place.mkdir(parents=True)
    settings = {key: value for key, value in dataclasses.asdict(spec).items() if key != "output"}
    if spec.init_from is not None:
        settings["init_from"] = {"run": spec.init_from, "model_sha256": "00"}
    (place / "spec.json").write_text(json.dumps({**settings, "digest": None, **changes}))
    return str(place)


def advice(run):
    with pytest.raises(DataError) as raised:
        load_run(run)
    return str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "front_end": "dechain+embedding",
            "epochs": 3,
            "seed": 7,
            "images": 100,
            "validation_fraction": 0.25,
        },
        {"precision": "mixed_bfloat16", "init_from": "/runs/the first", "data": "/data/it's mine/1.0.0"},
        {"recipe": Recipe(learning_rate=1e-4, batch_size=16, ema=0.5, clip_norm=1.0, schedule="one-cycle")},
        {"data": "/data/sealed/1.0.0", "data_key": "/home/me/photos.datakey"},
        {
            "data": "s3://bucket/enc/1.0.0",
            "on_bad_shard": "skip",
            "cache": "/disk/c",
            "cache_bytes": 5_000_000,
        },
        {"model": "resnet18", "recipe": RECIPES["fast"]},
        {"model": "resnet18", "recipe": dataclasses.replace(RECIPES["fast"], weight_decay=0.1)},
        {"model": "resnet18", "recipe": RECIPES["small"]},  # without the averages of `fast`
        {
            "model": "pyramidnet-110-270",
            "recipe": dataclasses.replace(RECIPES["madono"], label_smoothing=0.1),
        },
    ],
)
def test_the_command_begins_the_same_run(tmp_path, monkeypatch, changes):
    spec = TrainSpec(**{"data": "/data/enc/1.0.0", "output": str(tmp_path / "a run"), **changes})
    line = advice(unfinished(spec, tmp_path / "a run"))
    words = shlex.split(line[line.index("lpe train") :])
    assert begun(monkeypatch, words[1:]) == spec


def test_defaults_are_left_out(tmp_path):
    spec = TrainSpec("/data/enc/1.0.0", "run", epochs=3)
    run = unfinished(spec, tmp_path / "run")
    assert advice(run).endswith(
        f"lpe train --data /data/enc/1.0.0 --output {run} --model cnn --front-end {spec.front_end} --epochs 3"
    )


@pytest.mark.parametrize(
    "changes", [{"data": "a\nb"}, {"seed": -1}, {"recipe": None}, {"model": "$(reboot)"}]
)
def test_a_damaged_record_names_no_command(tmp_path, changes):
    run = unfinished(TrainSpec("data", "run"), tmp_path / "run", **changes)
    assert advice(run) == f"{run}: the training has not finished; run the same `lpe train` again, it resumes"
