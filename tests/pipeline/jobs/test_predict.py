"""lpe.predict: what the network is given, and what its answers mean to the owner. The network is not Keras's here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.predict import Prediction, predict
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.keyed import KeyedCipher
from tests.pipeline.running import encrypt


@pytest.fixture
def asked(monkeypatch):
    """The images that the network was given. It answers with class i, sure of itself, for image i."""
    images = []

    def answer(run, batch):
        images.append(batch)
        return np.eye(len(run.class_names), dtype=np.float32)[: len(batch)]

    monkeypatch.setattr("lpe.train.predict.predict", answer)
    return images


@pytest.fixture
def pictures(tmp_path):
    """Three image files, and their pixels, uint8 [3, 32, 32, 3]."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    paths = [str(tmp_path / f"{i}.png") for i in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths, pixels


def finished_run(directory, dataset) -> str:
    """A run on a dataset, as training leaves it, without its model."""
    directory.mkdir()
    value = {
        "format_version": 1,
        "model": "cnn",
        "spec": {"front_end": "none", "precision": "float32"},
        "dataset": {"name": dataset.name, "version": dataset.version},
        "class_names": list(dataset.class_names),
        "image_shape": list(dataset.image_shape),
        "encryption": dataset.encryption,
        "accuracy": {"train": 0.5, "validation": 0.5},
        "best_epoch": 1,
        "epochs": 1,
        "seconds": 1.0,
        "seed": 0,
    }
    (directory / "run.json").write_text(json.dumps(value))
    return str(directory)


@pytest.mark.parametrize("scope", ["dataset", "image"])
def test_the_network_sees_ciphertext_and_the_owner_class_names(
    lpe, keystore, plain, tmp_path, asked, pictures, scope
):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home, "--hide-labels", "--scope", scope)
    data = open_dataset(str(home))
    run = finished_run(tmp_path / "run", data)
    paths, pixels = pictures
    predictions = predict(run, paths, keystore)
    assert [prediction.path for prediction in predictions] == paths
    assert [prediction.probability for prediction in predictions] == [1.0] * 3
    encryption = Encryption.from_json(data.encryption, "")
    key = encryption.open_key(keystore)
    order = encryption.label_order(key, 10)
    names = open_dataset(str(plain)).class_names
    assert [prediction.label for prediction in predictions] == [names[order.index(i)] for i in range(3)]
    (ciphertext,) = asked
    assert not np.array_equal(ciphertext, pixels)
    if scope == "dataset":
        batch = ImageBatch(["a", "b", "c"], ciphertext, np.zeros(3, np.int64))
        assert np.array_equal(KeyedCipher(encryption.spec, key).decrypt(batch).images, pixels)


def test_a_network_for_plain_images_needs_no_key(plain, tmp_path, asked, pictures):
    data = open_dataset(str(plain))
    paths, pixels = pictures
    run = finished_run(tmp_path / "run", data)
    assert predict(run, paths)[2] == Prediction(paths[2], data.class_names[2], 1.0)
    assert np.array_equal(asked[0], pixels)
    assert predict(run, []) == []


def test_what_is_refused(lpe, keystore, plain, tmp_path, asked, pictures):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    run = finished_run(tmp_path / "run", open_dataset(str(home)))
    paths, _ = pictures
    with pytest.raises(UsageError, match="pass --keystore"):
        predict(run, paths)
    with pytest.raises(DataError, match="no training run here"):
        predict(str(tmp_path / "nowhere"), paths, keystore)
    with pytest.raises(DataError, match=r"x\.png: no such file; check the path"):
        predict(run, [str(tmp_path / "x.png")], keystore)
    (tmp_path / "x.png").write_text("x")
    with pytest.raises(DataError, match=r"x\.png: cannot be decoded.*; give another image"):
        predict(run, [str(tmp_path / "x.png")], keystore)
    assert not asked


def test_a_prediction_in_json():
    assert Prediction("a.png", "cat", 0.5).to_json() == {"path": "a.png", "label": "cat", "probability": 0.5}
