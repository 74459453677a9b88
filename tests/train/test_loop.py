"""Training, end to end on a tiny dataset: whole, killed, repeated and refused runs."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from lpe.train.loop import TrainSpec, fit
from lpe.train.predict import predict
from lpe.train.recipes import Recipe
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError, UsageError
from tests.train.datasets import CLASSES, toy_images
from tests.train.running import KilledError, finished_run, kill_after, metrics


@pytest.fixture(scope="module")
def spec(toy, tmp_path_factory):
    """As everywhere, but of this module: equal runs are compared within one state of the process."""
    return finished_run(toy, tmp_path_factory.mktemp("runs") / "whole")


def test_fit_leaves_a_whole_run(toy, tmp_path):
    calls = []
    spec = TrainSpec(data=toy, output=str(tmp_path / "run"), epochs=2, recipe=Recipe(batch_size=16), seed=4)
    result = fit(spec, progress=lambda *call: calls.append(call))
    figures = {"epochs", "accuracy", "seconds", "bad_shards"}
    assert {"status", "run", "data", "cipher", "model", "front_end", *figures} == set(result.to_json())
    assert (result.to_json()["status"], result.epochs) == ("ok", 2)
    assert set(result.accuracy) == {"train", "validation"}
    assert [call[:2] for call in calls] == [(1, 2), (2, 2)]
    assert all(call[3] > 0 for call in calls)

    names = {path.name for path in Path(spec.output).iterdir()}
    assert names == {"spec.json", "metrics.jsonl", "tensorboard", "curves.png", "model.keras", "run.json"}
    run = load_run(spec.output)
    assert (run.class_names, run.image_shape, run.encryption) == (CLASSES, (16, 16, 3), None)
    assert dict(run.dataset) == {"name": "toy", "version": "1.0.0"}
    assert run.accuracy["validation"] == max(line["val_accuracy"] for line in metrics(spec.output))
    assert run.model_path == result.model


def test_auto_is_the_front_end_of_the_scheme(encrypted, spec, tmp_path):
    auto = dataclasses.replace(spec, data=encrypted, output=str(tmp_path / "run"), epochs=1, front_end="auto")
    assert fit(auto).front_end == "dechain+embedding"
    assert fit(dataclasses.replace(auto, front_end="dechain+embedding")).skipped


def test_a_finished_run_is_skipped_and_another_spec_refused(spec):
    before = {path: path.stat().st_mtime_ns for path in Path(spec.output).rglob("*")}
    assert fit(spec).skipped
    assert {path: path.stat().st_mtime_ns for path in Path(spec.output).rglob("*")} == before
    with pytest.raises(
        DataError, match=r"other settings \(epochs, seed\); choose another --output, or delete"
    ):
        fit(dataclasses.replace(spec, epochs=9, seed=1))


def test_what_a_kill_left_is_removed_at_the_next_start(spec, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(spec.output, run)
    before = {path.name for path in run.iterdir()}
    (run / "checkpoints").mkdir()
    for stray in ("checkpoints/epoch-0002.weights.h5", ".tmp-0123abcd-run.json", ".tmp-model.keras"):
        (run / stray).touch()
    assert fit(dataclasses.replace(spec, output=str(run))).skipped
    assert {path.name for path in run.iterdir()} == before


def test_metrics_that_are_no_text_are_made_again(spec, tmp_path):
    killed = dataclasses.replace(spec, output=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        fit(killed, progress=kill_after(1))
    Path(killed.output, "metrics.jsonl").write_bytes(b"\xff[]\n")
    fit(killed)
    assert metrics(killed.output) == metrics(spec.output)


def test_a_directory_with_other_things_is_refused(toy, tmp_path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(DataError, match="no training run; choose another --output"):
        fit(TrainSpec(data=toy, output=str(tmp_path)))


def test_same_seed_same_run_another_seed_another(spec, tmp_path):
    again = dataclasses.replace(spec, output=str(tmp_path / "again"))
    other = dataclasses.replace(spec, output=str(tmp_path / "other"), seed=1)
    fit(again)
    fit(other)
    assert metrics(again.output) == metrics(spec.output)
    assert metrics(other.output) != metrics(spec.output)


@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_to_the_same_end(spec, tmp_path, epoch):
    killed = dataclasses.replace(spec, output=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        fit(killed, progress=kill_after(epoch))
    with pytest.raises(DataError, match="has not finished; this goes on where it stopped: lpe train --data "):
        load_run(killed.output)
    # As if it had died after writing the next line, before the weights that go with it.
    with Path(killed.output, "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": epoch + 1, "val_accuracy": 1.0}) + '\n{"epo')

    epochs = []
    assert not fit(killed, progress=lambda done, *_: epochs.append(done)).skipped
    assert epochs == list(range(epoch + 1, 3))
    assert metrics(killed.output) == metrics(spec.output)
    images = toy_images(8, 5)[0]
    assert (predict(load_run(killed.output), images) == predict(load_run(spec.output), images)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnet"}, "unknown model 'resnet'; models are cnn"),
        ({"front_end": "dechain+magic"}, "unknown front end 'magic'; there is none, dechain"),
        ({"front_end": "bit-planes+embedding"}, "embedding takes bytes, so it cannot follow"),
        ({"epochs": 0}, "at least 1"),
        ({"images": 0}, "at least 1"),
        ({"seed": -1}, "seed"),
        ({"validation_fraction": 0.9}, "validation fraction"),
    ],
)
def test_a_spec_out_of_range_is_refused(spec, change, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(spec, **change)
