"""Fine-tuning: a run that starts from another run's network, after the dataset was re-encrypted."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.predict import predict
from lpe.train.recipes import Recipe
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.train.datasets import CLASSES, ENCRYPTION, toy_images, write_dataset

PERMUTATION = np.random.default_rng(5).permutation(16 * 16 * 3)


def under_another_key(images):
    """The images as another key would leave them: their bytes in another order."""
    return images.reshape(len(images), -1)[:, PERMUTATION].reshape(images.shape)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A finished run on a dataset under key 17; tests must not change it."""
    place = tmp_path_factory.mktemp("old")
    data = write_dataset(place / "toy", encryption=ENCRYPTION)
    fit(TrainSpec(data=data, output=str(place / "run"), epochs=3, recipe=Recipe(batch_size=16)))
    return str(place / "run")


@pytest.fixture(scope="module")
def rotated(tmp_path_factory):
    """The same images under key 18."""
    splits = {
        split: (under_another_key(images), labels)
        for split, (images, labels) in {"train": toy_images(200, 0), "test": toy_images(60, 1)}.items()
    }
    encryption = {**ENCRYPTION, "key": {**ENCRYPTION["key"], "id": 18}, "salt": "11" * 16}
    return write_dataset(tmp_path_factory.mktemp("data") / "toy", splits, encryption=encryption)


@pytest.fixture(scope="module")
def spec(old, rotated, tmp_path_factory):
    """The spec of a finished fine-tuned run; tests must not change its directory."""
    output = str(tmp_path_factory.mktemp("runs") / "fine")
    spec = TrainSpec(data=rotated, output=output, epochs=2, recipe=Recipe(batch_size=16), init_from=old)
    fit(spec)
    return spec


@pytest.mark.slow
def test_it_starts_from_the_other_network_and_not_from_fresh_weights(old, rotated, spec, tmp_path):
    # With next to no learning rate, all that changes are the averages of the normalisation.
    still = dataclasses.replace(
        spec, output=str(tmp_path / "still"), epochs=1, recipe=Recipe(batch_size=16, learning_rate=1e-12)
    )
    fit(still)
    before, after = load_run(old).load_model(), load_run(still.output).load_model()
    for a, b in zip(before.trainable_weights, after.trainable_weights, strict=True):
        assert np.allclose(a.numpy(), b.numpy(), atol=1e-6), a.path
    with pytest.raises(DataError, match="lpe train --init-from"):
        evaluate(load_run(old), rotated)
    assert evaluate(load_run(spec.output), rotated).examples == 60


def test_the_run_says_what_it_started_from(old, spec):
    said = load_run(spec.output).spec["init_from"]
    assert said["run"] == str(Path(old).resolve())
    assert len(said["model_sha256"]) == 64
    assert load_run(old).spec["init_from"] is None
    assert fit(spec).skipped
    with pytest.raises(DataError, match=r"holds a run trained with other settings \(init_from\)"):
        fit(dataclasses.replace(spec, init_from=None))


def test_another_network_at_the_same_place_is_another_origin(old, spec, tmp_path):
    moved = tmp_path / "old"
    shutil.copytree(old, moved)
    output = str(tmp_path / "fine")
    fit(dataclasses.replace(spec, output=output, epochs=1, init_from=str(moved)))
    shutil.copy(load_run(spec.output).model_path, moved / "model.keras")
    with pytest.raises(DataError, match=r"holds a run trained with other settings \(init_from\)"):
        fit(dataclasses.replace(spec, output=output, epochs=1, init_from=str(moved)))


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_killed_fine_tuning_resumes_to_the_same_end(spec, tmp_path):
    def kill(*_):
        raise KilledError

    killed = dataclasses.replace(spec, output=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        fit(killed, progress=kill)
    epochs = []
    fit(killed, progress=lambda done, *_: epochs.append(done))
    assert epochs == [2]
    images = under_another_key(toy_images(8, 5)[0])
    assert (predict(load_run(killed.output), images) == predict(load_run(spec.output), images)).all()


def changed(run, place, **fields):
    """A copy of a run that says something else of itself."""
    shutil.copytree(run, place)
    value = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**value, **fields}))
    return str(place)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "resnet"}, r"its network is resnet, not cnn; ask for --model resnet"),
        ({"image_shape": [8, 8, 3]}, r"images of shape \(8, 8, 3\), those of .* have \(16, 16, 3\); train"),
        ({"class_names": [*CLASSES, "right"]}, r"tells 4 classes apart, .* has 3; train without --init-from"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(old, spec, tmp_path, fields, message):
    origin = changed(old, tmp_path / "origin", **fields)
    with pytest.raises(DataError, match=rf"origin: cannot start from this run: .*{message}"):
        fit(dataclasses.replace(spec, output=str(tmp_path / "new"), init_from=origin))
    assert not (tmp_path / "new").exists()


def test_a_missing_or_damaged_origin_is_named(old, spec, tmp_path):
    new = dataclasses.replace(spec, output=str(tmp_path / "new"), init_from=str(tmp_path))
    with pytest.raises(DataError, match="no training run here"):
        fit(new)
    for name, damage in (("gone", Path.unlink), ("torn", lambda file: file.write_bytes(b"torn"))):
        origin = tmp_path / name
        shutil.copytree(old, origin)
        damage(origin / "model.keras")
        with pytest.raises(DataError, match=rf"{name}/model\.keras: .* restore it"):
            fit(dataclasses.replace(new, output=str(tmp_path / f"new-{name}"), init_from=str(origin)))


def test_the_command_takes_it(lpe, old, rotated, tmp_path):
    words = ["train", "--data", rotated, "--epochs", 1, "--init-from", old, "--output", tmp_path / "run"]
    done = lpe(*words, "--json")
    assert (done.code, done.json["status"]) == (0, "ok")
    assert load_run(str(tmp_path / "run")).spec["init_from"]["run"] == str(Path(old).resolve())
