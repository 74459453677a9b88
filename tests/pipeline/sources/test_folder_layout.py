"""Splits and classes of a folder: what is taken for which, and what is refused with a remedy."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.folder_layout import sort_out
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images


def laid_out(*folders: str) -> list[str]:
    """The names of two images in each folder."""
    return [f"{folder}/{i}.png" for folder in folders for i in range(2)]


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz"])
@pytest.mark.parametrize("wrap", ["", "pets/"])
def test_an_unknown_split_is_not_taken_for_a_class(tmp_path, form, wrap):
    names = laid_out(
        *(f"{wrap}{split}/{name}" for split in ("train", "holdout", "test") for name in ("cat", "dog"))
    )
    files = {name: images.encoded(images.pixels(0)) for name in names}
    path = (
        images.write(tmp_path / "d", files)
        if form == "folder"
        else images.pack(files, tmp_path / f"d.{form}")
    )
    with pytest.raises(
        DataError,
        match="test, train are splits and holdout is none; rename holdout to train, validation or test,",
    ):
        FolderSource(str(path), ReadOptions())


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ("train/a", "tests/a"),
            "^x: train is a split and tests is none; rename tests to test, or move it out",
        ),
        (
            ("train/a", "dev/a", "Eval/a"),
            "^x: Eval and dev both stand for the split validation; put the images",
        ),
        (
            ("val/a", "holdout/a"),
            "val is a split and holdout is none; rename holdout to train, validation or test",
        ),
        (
            ("train/a", "more/a", "others"),
            "train is a split and more, others are none; rename more to train, ",
        ),
        (("train/a", "more"), "if all these are classes, move them into a directory train$"),
        (("Cat", "dog", "cat"), "the classes 'Cat' and 'cat' differ in upper and lower case alone; rename"),
        (("train/cat", "test/CAT"), "the classes 'CAT' and 'cat' differ in upper and lower case alone"),
        (
            ("w/Train/cat", "w/Train/dog", "w/val/dog"),
            "^x/w/val: no images of 'cat', which other splits have; .* an empty file w/val/cat/.keep$",
        ),
        (("train/a", "test/a", "test/b"), "^x/train: no images of 'b', which other splits have"),
        (
            ("train/z", *(f"test/{name}" for name in "abcdez")),
            "^x/train: no images of 'a', 'b', 'c' and 2 more, which",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(folders, message):
    with pytest.raises(DataError, match=message):
        sort_out(laid_out(*folders), "x")


@pytest.mark.parametrize(
    ("folders", "splits", "classes"),
    [
        (("train", "car", "bus"), ["train"], ("bus", "car", "train")),
        (("train/train", "train/car"), ["train"], ("car", "train")),
        (("tests/cat", "other/cat"), ["train"], ("other", "tests")),
        (("dev", "test", "cat"), ["train"], ("cat", "dev", "test")),
        (("train/a", "Dev/a"), ["train", "validation"], ("a",)),
        (("development/a", "test/a"), ["validation", "test"], ("a",)),
        (("evaluation/a", "TRAINING/a"), ["train", "validation"], ("a",)),
        (("testing/a", "valid/a", "training/a"), ["train", "validation", "test"], ("a",)),
    ],
)
def test_what_is_taken_as_it_is(folders, splits, classes):
    names = laid_out(*folders)
    layout = sort_out(names, "x")
    assert list(layout.rows) == splits
    assert layout.class_names == classes
    assert sorted(np.concatenate([*layout.rows.values()])) == list(range(len(names)))


@pytest.mark.parametrize("marker", [".keep", ".gitkeep"])
def test_a_class_may_be_known_to_be_empty(marker):
    names = [*laid_out("train/cat", "train/dog", "test/dog"), f"test/cat/{marker}"]
    layout = sort_out(names, "x")
    assert layout.class_names == ("cat", "dog")
    rows = layout.rows["test"]
    assert [(names[row], layout.class_names[layout.labels[row]]) for row in rows] == [
        ("test/dog/0.png", "dog"),
        ("test/dog/1.png", "dog"),
    ]


def test_other_hidden_files_do_not_say_so():
    with pytest.raises(DataError, match="no images of 'cat'"):
        sort_out([*laid_out("train/cat", "train/dog", "test/dog"), "test/cat/.DS_Store"], "x")
