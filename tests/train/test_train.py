"""Training, evaluation and prediction, end to end on a tiny dataset.

One file: importing TensorFlow takes longer than all of the tests.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.train import models
from lpe.train.data import evaluation_input, training_input
from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.predict import predict
from lpe.train.recipes import Recipe
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError, UsageError
from tests.train.datasets import CLASSES, ENCRYPTION, toy_images, write_dataset


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "toy")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "encrypted", encryption=ENCRYPTION)


@pytest.fixture(scope="module")
def spec(toy, tmp_path_factory):
    """The spec of a finished run of two epochs; tests must not change its directory."""
    spec = TrainSpec(
        data=toy,
        output=str(tmp_path_factory.mktemp("runs") / "whole"),
        epochs=2,
        recipe=Recipe(batch_size=16),
    )
    fit(spec)
    return spec


def metrics(output):
    """The metrics of each epoch, without its timings."""
    lines = [json.loads(line) for line in Path(output, "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "images_per_second")} for line in lines]


class KilledError(Exception):
    pass


def kill_after(epoch):
    def progress(done, epochs, logs, images_per_second):
        if done == epoch:
            raise KilledError

    return progress


# ---------------------------------------------------------------- fit


def test_fit_leaves_a_whole_run(toy, tmp_path):
    calls = []
    spec = TrainSpec(data=toy, output=str(tmp_path / "run"), epochs=2, recipe=Recipe(batch_size=16), seed=4)
    result = fit(spec, progress=lambda *call: calls.append(call))
    assert {"status", "run", "model", "front_end", "epochs", "accuracy", "seconds"} == set(result.to_json())
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
    with pytest.raises(DataError, match="another epochs, seed; choose another --output, or delete"):
        fit(dataclasses.replace(spec, epochs=9, seed=1))


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
    with pytest.raises(DataError, match="has not finished; run the same `lpe train` again"):
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


def test_a_damaged_checkpoint_is_named(spec, tmp_path):
    killed = dataclasses.replace(spec, output=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        fit(killed, progress=kill_after(1))
    Path(killed.output, "checkpoints", "epoch-0001.weights.h5").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"epoch-0001\.weights\.h5: damaged .* delete it and train again"):
        fit(killed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning rate"),
        ({"batch_size": 0}, "batch size"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; there is adamw, sgd"),
        ({"schedule": "linear"}, "unknown schedule 'linear'; there is cosine, one-cycle, step"),
        ({"warm_up": 1.0}, "warm-up"),
        ({"label_smoothing": -0.1}, "label smoothing"),
        ({"ema": 1.0}, "EMA"),
        ({"clip_norm": 0.0}, "clipped"),
    ],
)
def test_a_recipe_out_of_range_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**change)


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


# ---------------------------------------------------------------- input


@pytest.mark.parametrize("cache_bytes", [1 << 30, 0], ids=["in memory", "streamed"])
def test_an_epoch_has_every_training_image_once_in_a_new_order(tmp_path, cache_bytes):
    images, labels = toy_images(200, 0)
    images[:, 0, 0, 0] = np.arange(200)  # tells images apart
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": (images, labels)}))
    source = training_input(dataset, batch_size=10, seed=3, validation_fraction=0.1, cache_bytes=cache_bytes)

    def epoch(number):
        batches = [source.train.batch(number, i) for i in range(source.train.steps)]
        assert {len(batch[1]) for batch in batches} == {10}
        seen = np.concatenate([batch[0][:, 0, 0, 0] for batch in batches])
        assert (labels[seen] == np.concatenate([batch[1] for batch in batches])).all()
        return seen.tolist()

    held_out = source.validation
    validation = np.concatenate([held_out.batch(0, i)[0][:, 0, 0, 0] for i in range(held_out.steps)]).tolist()
    orders = [epoch(0), epoch(1), epoch(0)]
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert sorted(orders[0] + validation) == list(range(200))
    assert len(validation) == 20
    assert len({label % 3 for label in validation}) == 3


def test_a_validation_split_is_used(tmp_path):
    splits = {"train": toy_images(30, 0), "validation": toy_images(12, 1)}
    dataset = open_dataset(write_dataset(tmp_path / "toy", splits))
    source = training_input(dataset, batch_size=64, seed=0, validation_fraction=0.1)
    assert (source.train.batch_size, source.train.steps) == (30, 1)
    images, labels = source.validation.batch(0, 0)
    assert len(labels) == 12
    assert (np.sort(images, axis=None) == np.sort(splits["validation"][0], axis=None)).all()


def test_too_few_images_are_refused(tmp_path):
    dataset = open_dataset(write_dataset(tmp_path / "toy", {"train": toy_images(1, 0)}, shards=1))
    with pytest.raises(DataError, match="1 training images are too few"):
        training_input(dataset, batch_size=8, seed=0, validation_fraction=0.1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:], "damaged"),
        (lambda data: data[:-7], "cut off"),
        (lambda data: b"", "0 records, .* were written"),
    ],
    ids=["flipped bit", "torn", "empty"],
)
def test_a_damaged_shard_is_named(toy, spec, tmp_path, damage, message):
    home = tmp_path / "toy"
    shutil.copytree(toy, home)
    for split in ("train", "test"):
        shard = home / "1.0.0" / f"toy-{split}.tfrecord-00001-of-00003"
        shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(DataError, match=rf"toy-train\.tfrecord-00001-of-00003: .*{message}.* restore"):
        fit(TrainSpec(data=str(home), output=str(tmp_path / "run"), epochs=1))
    with pytest.raises(DataError, match=rf"toy-test\.tfrecord-00001-of-00003: .*{message}"):
        evaluate(load_run(spec.output), str(home))


def test_a_label_beyond_the_classes_is_damage(tmp_path):
    images, labels = toy_images(30, 0)
    labels[20] = 3
    home = write_dataset(tmp_path / "toy", {"train": (images, labels)})
    with pytest.raises(DataError, match=r"00002-of-00003: a label outside 0..2 .*restore"):
        fit(TrainSpec(data=home, output=str(tmp_path / "run"), epochs=1))


# ---------------------------------------------------------------- evaluate, predict


def test_evaluate_agrees_with_predict(spec, toy):
    run = load_run(spec.output)
    result = evaluate(run, toy, batch_size=7)
    images, labels = toy_images(60, 1)
    probabilities = predict(run, images)
    assert result.examples == 60
    assert result.accuracy == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert result.loss == pytest.approx(-np.log(probabilities[np.arange(60), labels]).mean(), rel=1e-3)
    with pytest.raises(DataError, match="no split 'dev'; it has train, test"):
        evaluate(run, toy, split="dev")


def test_evaluate_refuses_images_under_another_key(encrypted, spec, toy, tmp_path):
    trained = dataclasses.replace(spec, data=encrypted, output=str(tmp_path / "run"), epochs=1)
    fit(trained)
    run = load_run(trained.output)
    assert run.encryption["key"] == ENCRYPTION["key"]
    assert evaluate(run, encrypted).examples == 60

    renamed = {**ENCRYPTION, "key": {**ENCRYPTION["key"], "name": "clinic"}}
    assert evaluate(run, write_dataset(tmp_path / "renamed", encryption=renamed)).examples == 60
    for number, change in enumerate(
        [
            {"key": {**ENCRYPTION["key"], "id": 18}},
            {"key": {**ENCRYPTION["key"], "check_value": "cd" * 16}},
            {"cipher": "lpe-50"},
            {"scope": "image"},
            {"salt": "11" * 16},
        ]
    ):
        other = write_dataset(tmp_path / str(number), encryption={**ENCRYPTION, **change})
        with pytest.raises(DataError, match=r"trained on lpe-100 .* under key patients 17.* --init-from"):
            evaluate(run, other)
    with pytest.raises(DataError, match=r"trained on lpe-100 .* holds plain images"):
        evaluate(run, toy)
    with pytest.raises(DataError, match=r"trained on plain images, .* holds lpe-100"):
        evaluate(load_run(spec.output), encrypted)


def test_evaluate_refuses_other_shapes_and_classes(spec, tmp_path):
    run = load_run(spec.output)
    small = write_dataset(tmp_path / "small", {"test": toy_images(9, 0, (8, 8, 3))})
    with pytest.raises(DataError, match=r"shape \(16, 16, 3\), .* \(8, 8, 3\)"):
        evaluate(run, small)
    swapped = write_dataset(tmp_path / "swapped", class_names=CLASSES[::-1])
    with pytest.raises(
        DataError, match=r"classes are dark, bright, left; those of .* are left, bright, dark"
    ):
        evaluate(run, swapped)


def test_predict_gives_probabilities(spec):
    run = load_run(spec.output)
    probabilities = predict(run, toy_images(5, 0)[0])
    assert (probabilities.shape, probabilities.dtype) == ((5, 3), np.float32)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert predict(run, np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 3)
    for images in (np.zeros((1, 8, 16, 3), np.uint8), np.zeros((1, 16, 16, 3), np.float32)):
        with pytest.raises(DataError, match=r"takes uint8 images of shape \[N, 16, 16, 3\]"):
            predict(run, images)


def test_unusable_runs_are_explained(tmp_path):
    with pytest.raises(DataError, match="no training run here"):
        load_run(str(tmp_path))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        load_run(str(tmp_path))
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(DataError, match="run format 99"):
        load_run(str(tmp_path))


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 31, 3)])
def test_the_cnn_takes_any_shape_from_8_up(shape):
    model = models.build("cnn", shape, 4)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert model(images).shape == (2, 4)


def test_the_cnn_refuses_smaller_images():
    with pytest.raises(UsageError, match="at least 8×8"):
        models.build("cnn", (7, 8, 3), 4)


def test_evaluation_input_keeps_all_images(toy):
    found = evaluation_input(open_dataset(toy), "test", 32)
    assert [len(found.batch(0, i)[1]) for i in range(found.steps)] == [32, 28]
