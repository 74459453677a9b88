"""The paths of images that are written as files."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from lpe.pipeline.engine.file_paths import class_directories, file_paths, id_as_name


def paths(*names: str, classes: tuple[str, ...] = ("cat", "dog")) -> list[str]:
    ids = [f"train-{i}" for i in range(len(names))]
    return list(file_paths(ids, ["train"] * len(names), names, classes).values())


def test_names():
    assert paths("train/cat/1.jpg", "cat/a/1.JPEG", "dog/1.tiff") == ["1.png", "a/1.png", "1.png"]
    assert paths("batch.bin#17", "x/y.png", "train#0.raw") == [
        "batch.bin#17.png",
        "x/y.png",
        "train#0.raw.png",
    ]


def test_names_that_are_alike():
    assert paths("cat/a.jpg", "cat/a.png", "cat/b.png") == ["a.jpg.png", "a.png.png", "b.png"]
    assert paths("cat/a.png", "cat/A.png") == ["a.png-train-0.png", "A.png-train-1.png"]
    assert paths("cat/a.png", "dog/A.png") == ["a.png", "A.png"]


def test_nothing_leads_elsewhere():
    for path in paths(
        "../../etc/passwd", "/etc/passwd", "cat/../../x.png", "cat/..", "", "a\\b\n.png", "cat/ .png"
    ):
        parts = path.split("/")
        assert not path.startswith("/")
        assert not any(part in ("", ".", "..") for part in parts)
        assert all(part.isprintable() and len(part.encode()) <= 255 for part in parts)


@hypothesis.given(st.lists(st.text(max_size=300), unique=True, max_size=8))
def test_any_two_images_have_two_files(names):
    ids = [f"id{i}" for i in range(len(names))]
    found = file_paths(ids, ["train"] * len(ids), names, ["a"])
    assert len({path.casefold() for path in found.values()}) == len(names)
    assert all(len(part.encode()) <= 255 for path in found.values() for part in path.split("/"))


def test_classes_and_ids():
    assert class_directories(["cat", "a/b", "a_b", "A_b"]) == ["cat", "a_b-1", "a_b-2", "A_b-3"]
    assert id_as_name("train-0000001") == "train-0000001"
    assert id_as_name("a/b") != id_as_name("a_b")
