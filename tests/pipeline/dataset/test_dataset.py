"""A dataset on disk: opened by home or version, described by its metadata, refused where that is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, FEATURES_FILE, INFO_FILE, LABELS_FILE, MANIFEST_FILE
from lpe.transforms.errors import DataError
from tests.pipeline.dataset.making import CLASSES, ENCRYPTION, SHAPE, make

FORMAT_1 = Path(__file__).with_name("format_1")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "shapes"


def test_it_describes_itself(home):
    data = make(home, {"train": (5, 4), "test": (3,)})
    assert (data.name, data.version, data.class_names) == ("shapes", "1.0.0", CLASSES)
    assert (data.format.image_shape, data.image_shape) == (SHAPE, SHAPE)
    assert {name: split.shard_lengths for name, split in data.splits.items()} == {
        "train": (5, 4),
        "test": (3,),
    }
    sizes = sum(path.stat().st_size for path in (home / "1.0.0").glob("*.tfrecord*"))
    assert data.num_bytes == sizes
    assert not data.encrypted
    assert (data.encryption, data.sealed, data.augmentation, data.origin) == (None, False, None, "o")
    assert data.shard_paths("train") == [
        f"{home}/1.0.0/shapes-train.tfrecord-0000{i}-of-00002" for i in range(2)
    ]
    with pytest.raises(DataError, match="no split 'validation'; it has train, test"):
        data.shard_paths("validation")


def test_a_home_is_its_newest_committed_version(home):
    for version in ("1.0.9", "1.0.10", "1.0.2"):
        make(home, {"train": (1,)}, version=version)
    (home / "1.0.11").mkdir()
    (home / "_work").mkdir()
    (home / "notes.txt").touch()
    assert committed_versions(str(home)) == ["1.0.2", "1.0.9", "1.0.10"]
    assert open_dataset(str(home)).version == "1.0.10"
    assert open_dataset(str(home / "1.0.2")).version == "1.0.2"


def test_where_nothing_is_committed_there_is_no_dataset(home):
    make(home, {"train": (1,)})
    (home / "1.0.0" / INFO_FILE).unlink()
    assert committed_versions(str(home)) == []
    for path in (home, home / "1.0.0", home / "nowhere"):
        with pytest.raises(
            DataError, match=r"no dataset here \(no dataset_info.json, which is written last\)"
        ):
            open_dataset(str(path))


def test_the_digest_is_of_the_shards_and_of_nothing_else(home, tmp_path):
    data = make(home, {"train": (5, 4)})
    other_name = make(tmp_path / "other", {"train": (5, 4)}, version="2.0.0", job="another")
    assert data.digest() == other_name.digest()
    other_cut = make(tmp_path / "cut", {"train": (4, 5)})
    assert data.digest() != other_cut.digest()
    other_split = make(tmp_path / "split", {"test": (5, 4)})
    assert data.digest() != other_split.digest()


def test_a_directory_of_tfdss_own_has_a_digest_too(home):
    """Nobody recorded its checksums: they are computed."""
    make(home, {"train": (5, 4)})
    (home / "1.0.0" / MANIFEST_FILE).unlink()
    unrecorded = open_dataset(str(home))
    assert (unrecorded.manifest, unrecorded.shards("train")) == (None, None)
    digest = unrecorded.digest()
    assert digest == unrecorded.origin
    shard = home / "1.0.0" / "shapes-train.tfrecord-00001-of-00002"
    shard.write_bytes(shard.read_bytes() + b"\0")
    assert open_dataset(str(home)).digest() != digest


def test_an_encrypted_dataset_says_how_but_not_its_shards(home):
    data = make(home, {"train": (2,)}, encrypted=True, cipher="pbe")
    assert data.encrypted
    assert data.authenticated
    assert data.encryption == {
        "format_version": 2,
        "job": "j",
        "origin": "o",
        "bad_records": 0,
        **ENCRYPTION,
        "cipher": "pbe",
    }


def test_a_sealed_dataset_has_the_shape_within_and_is_to_be_opened_first(home):
    data = make(home, {"train": (2,)}, encrypted=True, seal={"image_shape": [2, 2, 3]})
    assert data.image_shape == (2, 2, 3)
    with pytest.raises(DataError, match="sealed; open it first: lpe unseal"):
        data.check_open()
    make(home, {"train": (2,)}, version="1.0.1").check_open()


def test_augmented_copies_are_those_of_one_split(home):
    augmentation = {"split": "train", "copies": 2, "kinds": ["flip"], "seed": 0}
    splits = {"train": (2,), "train_augmented_1": (2,), "train_augmented_2": (2,)}
    data = make(home, splits, augmentation=augmentation)
    assert data.copies("train") == ("train_augmented_1", "train_augmented_2")
    assert data.copies("test") == ()
    assert make(home, {"train": (2,)}, version="1.0.1").copies("train") == ()
    with pytest.raises(DataError, match="there is no split train_augmented_1"):
        make(home, {"train": (2,)}, version="1.0.2", augmentation=augmentation)


@pytest.mark.parametrize("name", [INFO_FILE, FEATURES_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("content", ["", "{", "[1]", "{}"])
def test_damaged_metadata_is_one_line(home, name, content):
    make(home, {"train": (2,)})
    (home / "1.0.0" / name).write_text(content)
    with pytest.raises(DataError, match=r"damaged \(") as failure:
        open_dataset(str(home / "1.0.0"))
    assert str(home / "1.0.0") in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("name", [MANIFEST_FILE, ENCRYPTION_FILE])
def test_metadata_of_a_later_format_is_left_to_the_later_lpe(home, name):
    make(home, {"train": (2,)}, encrypted=name == ENCRYPTION_FILE)
    path = home / "1.0.0" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 3}))
    with pytest.raises(
        DataError, match="format version 3, this `lpe` reads 1 to 2; use the version of `lpe`"
    ):
        open_dataset(str(home))


def test_files_of_another_kind_are_named(home):
    make(home, {"train": (2,)})
    (home / "1.0.0" / MANIFEST_FILE).unlink()
    path = home / "1.0.0" / INFO_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "fileFormat": "array_record"}))
    with pytest.raises(
        DataError, match=r"'array_record'; read it as tfds:shapes:1\.0\.0 with TFDS_DATA_DIR="
    ):
        open_dataset(str(home))


@pytest.mark.parametrize("name", [INFO_FILE, FEATURES_FILE, LABELS_FILE, MANIFEST_FILE])
def test_a_file_that_is_missing_or_changed_is_named(home, name):
    make(home, {"train": (2,)})
    path = home / "1.0.0" / name
    path.write_bytes(path.read_bytes().replace(b"e", b"E", 1) + b" ")
    with pytest.raises(DataError, match=f"{name}: damaged"):
        open_dataset(str(home))
    if name not in (INFO_FILE, MANIFEST_FILE):  # without these it is no dataset, or one of TFDS's own
        path.unlink()
        with pytest.raises(DataError, match=f"{name}: missing; restore it"):
            open_dataset(str(home))


def test_a_version_that_was_moved_is_refused(home):
    make(home, {"train": (2,)})
    (home / "1.0.0").rename(home / "1.0.1")
    with pytest.raises(DataError, match=r"1\.0\.1: holds version 1\.0\.0, moved here"):
        open_dataset(str(home))


def test_a_dataset_of_format_1_is_read():
    data = open_dataset(str(FORMAT_1 / "enc" / "shapes"))
    assert data.manifest is not None
    assert (data.manifest.format_version, data.manifest.files, data.authenticated) == (1, {}, False)
    assert [split.examples for split in data.splits.values()] == [4, 10]
    assert open_dataset(str(FORMAT_1 / "sealed" / "shapes")).image_shape == (32, 32, 3)
