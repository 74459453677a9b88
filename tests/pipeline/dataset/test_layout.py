"""File names of a dataset, as TFDS has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpe.pipeline.dataset import layout
from lpe.transforms.errors import DataError


def test_shards_are_named_as_tfds_names_them():
    assert layout.shard_name("cifar10", "train", 3, 8) == "cifar10-train.tfrecord-00003-of-00008"
    template = "{SPLIT}.{DATASET}.{FILEFORMAT}-{SHARD_INDEX}-of-{NUM_SHARDS}"
    assert layout.is_file_template(template)
    assert layout.shard_name("a", "test", 0, 1, template) == "test.a.tfrecord-00000-of-00001"


@pytest.mark.parametrize(
    "template",
    [
        "",
        "../{SPLIT}",
        "{SPLIT}/a",
        "{SPLIT:>2000000000}",
        "{SPLIT!r}",
        "{SPLIT.__class__}",
        "{}",
        "{0}",
        "{X}",
        "{",
    ],
)
def test_templates_that_could_name_another_file_are_refused(template):
    assert not layout.is_file_template(template)


@given(st.integers(1, 10_000), st.data())
def test_names_sort_as_shards_do(count, data):
    first, second = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    names = [layout.shard_name("a", "train", index, count) for index in (first, second)]
    assert (names[0] < names[1]) == (first < second)


def test_copies_of_a_split_have_names_of_their_own():
    assert layout.copy_split("train", 2) == "train_augmented_2"


@pytest.mark.parametrize("name", ["cifar10", "a", "A_b_1"])
def test_names_that_tfds_takes(name):
    assert layout.check_name(name) == name


@pytest.mark.parametrize("name", ["", "1a", "_a", "a-b", "a.b", "straße", "a b", "a/b"])
def test_names_that_tfds_does_not_take(name):
    with pytest.raises(DataError, match="cannot name a dataset"):
        layout.check_name(name)


def test_versions_sort_by_number():
    versions = ["1.0.10", "1.0.9", "0.12.0", "1.1.0", "1.0.0"]
    assert sorted(versions, key=layout.version_key) == ["0.12.0", "1.0.0", "1.0.9", "1.0.10", "1.1.0"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1.0.0", True), ("1.0.12", True), ("1.0", False), ("v1.0.0", False), ("1.0.0-ab", False)],
)
def test_what_can_be_a_version(name, expected):
    assert layout.is_version(name) == expected
