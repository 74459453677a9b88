"""The metadata files: what is written is read back, and what others wrote is understood or refused."""

from __future__ import annotations

import json

import pytest

from lpe.pipeline import storage
from lpe.pipeline.dataset import SplitInfo
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE, MANIFEST_FILE
from lpe.pipeline.dataset.metadata import (
    ShardInfo,
    read_class_names,
    read_features,
    read_json,
    write_metadata,
)
from lpe.pipeline.records import RecordFormat
from lpe.transforms.errors import DataError

SHARDS = {"train": [ShardInfo("a-train.tfrecord-00000-of-00001", 3, 99, "0badcafe")]}


def write(directory, fmt=RecordFormat((4, 3, 3)), class_names=("cat", "dog"), **more):  # noqa: B008  (frozen)
    settings = {"name": "a", "version": "1.0.0", "shards": SHARDS, "manifest": {}, "encrypted": False}
    write_metadata(str(directory), class_names=class_names, fmt=fmt, **{**settings, **more})


def features_of(directory):
    return read_json(str(directory), "features.json"), read_json(str(directory), INFO_FILE)


@pytest.mark.parametrize(
    "fmt", [RecordFormat((4, 3, 3)), RecordFormat((5, 5, 1), channels=1), RecordFormat(None, "png")]
)
def test_the_format_is_read_back(tmp_path, fmt):
    write(tmp_path, fmt)
    assert read_features(*features_of(tmp_path), "here") == (fmt, "label")


def test_class_names_are_read_back_and_counted(tmp_path):
    write(tmp_path, class_names=("Säugetier, klein", "dog"))
    features, _ = features_of(tmp_path)
    assert read_class_names(str(tmp_path), features, "label") == ("Säugetier, klein", "dog")
    (tmp_path / "label.labels.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"label.labels.txt: 1 class names for 2 classes"):
        read_class_names(str(tmp_path), features, "label")
    (tmp_path / "label.labels.txt").unlink()
    assert read_class_names(str(tmp_path), features, "label") == ("0", "1")


def test_a_class_name_of_two_lines_is_refused(tmp_path):
    with pytest.raises(DataError, match="line break"):
        write(tmp_path, class_names=("a\nb",))


def test_the_commit_is_written_last(tmp_path, monkeypatch):
    written = []
    real = storage.write_atomic
    monkeypatch.setattr(storage, "write_atomic", lambda path, data: (written.append(path), real(path, data)))
    write(tmp_path)
    assert storage.base_name(written[-1]) == INFO_FILE


@pytest.mark.parametrize(
    ("encrypted", "present", "absent"),
    [(False, MANIFEST_FILE, ENCRYPTION_FILE), (True, ENCRYPTION_FILE, MANIFEST_FILE)],
)
def test_what_lpe_knows_lies_in_one_file(tmp_path, encrypted, present, absent):
    write(tmp_path, manifest={"job": "j"}, encrypted=encrypted)
    assert read_json(str(tmp_path), present) == {
        "format_version": 1,
        "job": "j",
        "shards": {
            "train": [
                {
                    "file": "a-train.tfrecord-00000-of-00001",
                    "examples": 3,
                    "bytes": 99,
                    "crc32c": "0badcafe",
                }
            ]
        },
    }
    assert not (tmp_path / absent).exists()


def test_a_split_in_numbers():
    assert SplitInfo((3, 4), 70).examples == 7
    assert SplitInfo((3, 4), 70).summary() == {"examples": 7, "shards": 2, "bytes": 70}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "missing; restore it"), ("{", r"damaged \("), ("[]", r"damaged \(not a JSON object")],
)
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / INFO_FILE).write_text(content)
    with pytest.raises(DataError, match=rf"{INFO_FILE}: {message}"):
        read_json(str(tmp_path), INFO_FILE)


def tensor(*shape: int, encoding: str = "bytes"):
    dimensions = {"dimensions": [str(size) for size in shape]}
    return {"tensor": {"dtype": "uint8", "encoding": encoding, "shape": dimensions}}


LABEL = {"classLabel": {"numClasses": "2"}}


def chosen(fields, supervised=()):
    items = {"tuple": {"items": [{"featureKey": key} for key in supervised]}}
    info = {"supervisedKeys": items} if supervised else {}
    fmt, label = read_features(json.loads(json.dumps({"featuresDict": {"features": fields}})), info, "here")
    return fmt.image_key, label, fmt.id_key


def test_the_image_and_the_label_are_chosen_by_name_then_by_use_then_because_they_are_alone():
    both = {"left": tensor(2, 2, 3), "right": tensor(2, 2, 3), "kind": LABEL}
    assert chosen({**both, "image": tensor(2, 2, 1), "label": LABEL}) == ("image", "label", None)
    assert chosen(both, ["right", "kind"]) == ("right", "kind", None)
    assert chosen({"photo": tensor(2, 2, 3), "kind": LABEL, "id": {"text": {}}}) == ("photo", "kind", "id")
    with pytest.raises(DataError, match="here: needs one image and one ClassLabel feature"):
        chosen(both)


def test_an_image_that_cannot_be_read_as_rows_is_refused():
    for image in (tensor(2, 2, 3, encoding="zlib"), tensor(-1, 2, 3)):
        with pytest.raises(DataError, match="not a tensor of fixed shape, stored as bytes"):
            chosen({"image": image, "label": LABEL})
