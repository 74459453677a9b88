"""lpe.predict: what the network is given, and what its answers mean to the owner. The network is not Keras's here."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.predict import Prediction, predict
from lpe.pipeline.sources.base import ReadOptions
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.keyed import KeyedCipher
from tests.pipeline.running import encrypt, refused


@pytest.fixture
def asked(monkeypatch):
    """The images that the network was given. It answers with class i, sure of itself, for image i."""
    images = []

    def predictor(run):
        def answer(batch):
            images.append(batch)
            return np.eye(len(run.class_names), dtype=np.float32)[: len(batch)]

        return answer

    monkeypatch.setattr("lpe.train.predict.predictor", predictor)
    return images


def decrypted(ciphertexts, data, keystore):
    """What a network was given, of a dataset with one key for all images."""
    encryption = Encryption.from_json(data.encryption, "")
    batch = ImageBatch(
        [str(i) for i in range(len(ciphertexts))], ciphertexts, np.zeros(len(ciphertexts), np.int64)
    )
    return KeyedCipher(encryption.spec, encryption.open_key(keystore)).decrypt(batch).images


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
        "reading": dataset.reading,
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


def test_images_are_read_as_those_that_it_was_trained_on(plain, tmp_path, asked):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    image, path = Image.fromarray(pixels), tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    run = finished_run(tmp_path / "run", open_dataset(str(plain)))
    record = json.loads(Path(run, "run.json").read_text())
    assert record["reading"]["fit"] == "crop"
    with pytest.raises(DataError, match="transparent pixels"):
        predict(run, [str(path)])
    options = ReadOptions(
        (32, 32), fit="stretch", resample="box", background="#ff0000", window=(0, 9), frame=2
    )
    record["reading"] = options.pixel_settings()
    Path(run, "run.json").write_text(json.dumps(record))
    predict(run, [str(path)])
    red = Image.new("RGBA", image.size, "#ff0000")
    red.alpha_composite(image)
    expected = red.convert("RGB").rotate(-90, expand=True).resize((32, 32), Image.Resampling.BOX)
    assert np.array_equal(asked[0][0], np.asarray(expected))
    record["reading"]["fit"] = "nearly"
    Path(run, "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"run: damaged .*--fit nearly"):
        predict(run, [str(path)])


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


@pytest.fixture
def plain_run(plain, tmp_path):
    """A run on plain images."""
    return finished_run(tmp_path / "run", open_dataset(str(plain)))


@pytest.fixture
def folder(pictures, tmp_path):
    """A folder with images in folders, hidden files and a text beside them; and their paths as they are sorted."""
    paths, _ = pictures
    names = ["b/2.png", "a/1.PNG", "c.png"]
    for path, name in zip(paths, names, strict=True):
        place = tmp_path / "photos" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(Path(path).read_bytes())
    for name in (".hidden.png", ".cache/x.png", "README.txt", "b/labels.csv"):
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_text("no image")
    return tmp_path / "photos", [str(tmp_path / "photos" / name) for name in sorted(names)]


def test_folders_and_patterns_stand_for_their_images_in_order(plain_run, folder, pictures, asked, tmp_path):
    photos, sorted_paths = folder
    (first, *_), _ = pictures

    def predicted(*words):
        return [prediction.path for prediction in predict(plain_run, [str(word) for word in words])]

    assert predicted(photos) == sorted_paths
    assert predicted(first, photos / "b", first) == [first, str(photos / "b/2.png"), first]
    assert predicted(photos / "**/*.png") == [str(photos / "b/2.png"), str(photos / "c.png")]
    assert predicted(photos / "[ab]/*") == sorted_paths[:2]
    (tmp_path / "[1].png").write_bytes(Path(first).read_bytes())
    assert predicted(tmp_path / "[1].png") == [str(tmp_path / "[1].png")]  # a file of this very name
    (tmp_path / "empty").mkdir()
    for word in (tmp_path / "empty", photos / "*.webp", photos / "*.txt"):
        with pytest.raises(DataError, match="no image files there"):
            predict(plain_run, [str(word)])


def test_all_bad_files_are_named_at_once_and_the_network_is_not_asked_in_vain(
    plain_run, folder, asked, tmp_path, monkeypatch
):
    monkeypatch.setattr("lpe.pipeline.jobs.predict._BATCH", 10)
    photos, _ = folder
    for i in range(25):
        (photos / f"bad-{i:02d}.png").write_text("no image")
    with pytest.raises(DataError) as raised:
        predict(plain_run, [str(photos / "c.png"), str(photos)])
    message = str(raised.value)
    assert message.startswith(f"25 files cannot be read: {photos}/bad-00.png: cannot be decoded")
    assert "bad-19.png" in message
    assert "bad-20.png" not in message
    assert message.endswith("; and 5 more; give other images")
    assert not asked
    with pytest.raises(
        DataError, match=r"2 files cannot be read: x\.png: no such file; y\.png: no such file; check"
    ):
        predict(plain_run, ["x.png", str(photos / "c.png"), "y.png"])


def test_many_images_are_read_in_batches(plain_run, pictures, asked, monkeypatch):
    monkeypatch.setattr("lpe.pipeline.jobs.predict._BATCH", 2)
    paths, pixels = pictures
    seen = []
    predict(plain_run, paths, progress=lambda done, total: seen.append((done, total)))
    assert [len(batch) for batch in asked] == [2, 1]
    assert np.array_equal(np.concatenate(asked), pixels)
    assert seen == [(2, 3), (3, 3)]


def test_predictions_in_a_file(lpe, plain_run, plain, folder, asked, tmp_path):
    photos, sorted_paths = folder
    names = open_dataset(str(plain)).class_names
    expected = [
        {"path": path, "label": name, "probability": 1.0}
        for path, name in zip(sorted_paths, names, strict=False)
    ]
    words = ("predict", "--run", plain_run, photos, "--output")
    done = lpe(*words, tmp_path / "out" / "found.csv")
    assert done.code == 0, done.err
    assert f"3 predictions: {tmp_path}/out/found.csv" in done.out
    assert "c.png" not in done.out
    with (tmp_path / "out" / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{**line, "probability": "1.0"} for line in expected]
    value = lpe(*words, tmp_path / "found.jsonl", "--json").json
    assert value["predictions"] == expected
    assert [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()] == expected
    refused(lpe("predict", "--run", "nowhere", "x", "--output", "found.txt"), ".csv or .jsonl", code=2)


def test_a_prediction_in_json():
    assert Prediction("a.png", "cat", 0.5).to_json() == {"path": "a.png", "label": "cat", "probability": 0.5}
