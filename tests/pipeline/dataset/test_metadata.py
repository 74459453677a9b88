"""The metadata files: what is written is read back, and what others wrote is understood or refused."""

from __future__ import annotations

import hashlib
import json

import pytest

from lpe.pipeline import storage
from lpe.pipeline.dataset import ShardInfo, SplitInfo
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE, LABELS_FILE, MANIFEST_FILE
from lpe.pipeline.dataset.metadata import Features, class_names_of, read_features, write_metadata
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.storage.documents import Fields, read_document
from lpe.transforms.errors import DataError

SHARDS = {"train": [ShardInfo("a-train.tfrecord-00000-of-00001", 3, 99, "0badcafe", "ab" * 32)]}


def write(directory, fmt=RecordFormat((4, 3, 3)), class_names=("cat", "dog"), **more):  # noqa: B008  (frozen)
    settings = {"name": "a", "version": "1.0.0", "shards": SHARDS, "manifest": {}, "encrypted": False}
    write_metadata(str(directory), class_names=class_names, fmt=fmt, **{**settings, **more})


def document(directory, name):
    return read_document(str(directory / name), "restore it")


@pytest.mark.parametrize(
    "fmt", [RecordFormat((4, 3, 3)), RecordFormat((5, 5, 1), channels=1), RecordFormat(None, "png")]
)
def test_the_format_is_read_back(tmp_path, fmt):
    write(tmp_path, fmt)
    features = read_features(document(tmp_path, "features.json"), document(tmp_path, INFO_FILE))
    assert features == Features(fmt, "label", 2)


def test_class_names_are_read_back_and_counted(tmp_path):
    write(tmp_path, class_names=("Säugetier, klein", "dog"))
    content = (tmp_path / LABELS_FILE).read_bytes()
    assert class_names_of(content, "here", 2) == ("Säugetier, klein", "dog")
    assert class_names_of(None, "here", 2) == ("0", "1")
    with pytest.raises(DataError, match="here: 1 class names for 2 classes"):
        class_names_of(b"cat\n", "here", 2)
    for damaged in (b"\xff\ndog\n", b"cat\r\ndog\n"):
        with pytest.raises(DataError, match="here: damaged"):
            class_names_of(damaged, "here", 2)


def test_a_class_name_of_two_lines_is_refused(tmp_path):
    for name in ("a\nb", "a\u2028b", "a\rb"):
        with pytest.raises(DataError, match="line break"):
            write(tmp_path, class_names=(name,))


def test_the_commit_is_written_last(tmp_path, monkeypatch):
    written = []
    real = storage.write_atomic
    monkeypatch.setattr(storage, "write_atomic", lambda path, data: (written.append(path), real(path, data)))
    write(tmp_path)
    assert storage.base_name(written[-1]) == INFO_FILE


@pytest.mark.parametrize(
    ("encrypted", "present", "absent", "sign"),
    [
        (False, MANIFEST_FILE, ENCRYPTION_FILE, None),
        (True, ENCRYPTION_FILE, MANIFEST_FILE, lambda message: {"key": "00", "data_key": None}),
    ],
)
def test_what_lpe_knows_lies_in_one_file(tmp_path, encrypted, present, absent, sign):
    write(tmp_path, manifest={"job": "j"}, encrypted=encrypted, sign=sign)
    content = json.loads((tmp_path / present).read_bytes())
    assert list(content) == [
        "format_version",
        "job",
        "files",
        "shards",
        *(["mac"] if encrypted else []),
        "sha256",
    ]
    assert content["shards"]["train"][0]["sha256"] == "ab" * 32
    for name, digest in content["files"].items():
        assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert sorted(content["files"]) == sorted({path.name for path in tmp_path.iterdir()} - {present})
    assert content.get("mac") == ({"key": "00", "data_key": None} if encrypted else None)
    assert not (tmp_path / absent).exists()


def test_a_split_in_numbers():
    assert SplitInfo((3, 4), 70).examples == 7
    assert SplitInfo((3, 4), 70).summary() == {"examples": 7, "shards": 2, "bytes": 70}


def tensor(*shape: int, encoding: str = "bytes"):
    dimensions = {"dimensions": [str(size) for size in shape]}
    return {"tensor": {"dtype": "uint8", "encoding": encoding, "shape": dimensions}}


LABEL = {"classLabel": {"numClasses": "2"}}


def chosen(fields, supervised=()):
    items = {"tuple": {"items": [{"featureKey": key} for key in supervised]}}
    info = {"supervisedKeys": items} if supervised else {}
    document = Fields({"featuresDict": {"features": fields}}, "here", "restore it")
    features = read_features(document, Fields(info, "info", "restore it"))
    return features.format.image_key, features.label, features.format.id_key


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": tensor(2, 2, 0), "label": LABEL}, "not that of an image"),
        ({"image": tensor(60_000, 60_000, 3), "label": LABEL}, "an image of 60000x60000x3 bytes"),
        ({"image": tensor(2, 2, 3), "label": {"classLabel": {"numClasses": "10000000000"}}}, "numClasses"),
        ({"image": tensor(2, 2, 3), "../label": LABEL}, "a label cannot be called"),
        ({"image": tensor(2, 2, 3), "label": 7}, "'label' must be an object"),
        ({"image": {"image": {"shape": {"dimensions": ["2", "2"]}}}, "label": LABEL}, "not that of an image"),
    ],
)
def test_features_that_cannot_be_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        chosen(fields)
