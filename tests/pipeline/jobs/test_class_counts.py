"""What a job says of the classes that it took."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.transforms.errors import DataError
from tests.pipeline.running import contents, encrypting
from tests.pipeline.sources import images

SIZES = {"cat": 5, "dog": 12, "newt": 3}


@pytest.fixture
def pets(tmp_path) -> Path:
    """A folder with classes of several sizes."""
    files = {
        f"{split}/{name}/{i}.png": images.encoded(images.pixels(i))
        for split in ("train", "test")
        for name, count in SIZES.items()
        for i in range(count if split == "train" else 2)
    }
    return images.write(tmp_path / "pets", files)


def counted(home: Path) -> dict[str, dict[str, int]]:
    """Images of each class in each split, as they are read."""
    names = open_dataset(str(home)).class_names
    found = Counter((image_id.split("-")[0], names[label]) for image_id, (_, label) in contents(home).items())
    return {split: {name: found[split, name] for name in names} for split, _ in found}


def test_classes_are_counted_by_split_through_every_job(lpe, keystore, pets, tmp_path):
    plain, home, back = (tmp_path / part / "pets" for part in ("plain", "enc", "back"))
    words = ("ingest", "--source", f"folder:{pets}", "--output", plain, "--validation-fraction", "0.25")
    taken = lpe(*words, "--json").json["classes"]
    assert taken == counted(plain)
    assert {name: taken["train"][name] + taken["validation"][name] for name in SIZES} == SIZES
    assert taken["test"] == dict.fromkeys(SIZES, 2)
    assert lpe(*words, "--json").json["classes"] == taken  # nothing to do, and known all the same

    told = lpe(*encrypting(keystore, f"dataset:{plain}", home), "--hide-labels")
    assert told.code == 0
    assert not any(name in told.out.replace(str(tmp_path), "") for name in SIZES)
    hidden = open_dataset(str(home)).class_counts
    assert hidden == counted(home)
    assert sorted(hidden["train"].values()) == sorted(taken["train"].values())

    restoring = ("decrypt", "--source", f"dataset:{home}", "--output", back, "--keystore", keystore, "--json")
    assert lpe(*restoring).json["classes"] == taken


def test_the_table_lists_the_classes(lpe, pets, tmp_path):
    out = lpe("ingest", "--source", f"folder:{pets}", "--output", tmp_path / "plain" / "pets").out
    assert "3 classes: cat (5), dog (12), newt (3)" in out
    assert "3 classes: cat (2), dog (2), newt (2)" in out


def test_of_many_classes_the_table_lists_some(lpe, tmp_path):
    files = {
        f"c{number:02}/{i}.png": images.encoded(images.pixels(i))
        for number in range(30)
        for i in range(1 + (number == 17) * 4 + (number != 23))
    }
    source = images.write(tmp_path / "many", files)
    out = lpe("ingest", "--source", f"folder:{source}", "--output", tmp_path / "plain" / "many").out
    text = " ".join(out.replace("│", " ").split())
    assert "30 classes: c00 (2), c01 (2)," in text
    assert "c09 (2), … and 20 more; fewest: c23 (1), most: c17 (6)" in text
    assert "c10" not in text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": [5, 11, 3], "test": [2, 2, 2]}, "those of train are not as many"),
        ({"train": [5, 12, 3, 0], "test": [2, 2, 2, 0]}, "counts of 4 classes, the dataset has 3"),
        ({"train": [5, 12, 3]}, "no field 'test'"),
        ({"train": [5, 12, 3], "test": [2, 2, 2], "dev": []}, "unknown field 'dev'"),
    ],
)
def test_counts_that_cannot_be_are_refused(lpe, pets, tmp_path, changed, message):
    home = tmp_path / "plain" / "pets"
    assert lpe("ingest", "--source", f"folder:{pets}", "--output", home).code == 0
    path = home / "1.0.0" / "manifest.json"
    value = json.loads(path.read_text())
    value["class_counts"] = changed
    value["format_version"] = 1  # which has no checksum of itself
    for shards in value["shards"].values():
        for shard in shards:
            del shard["sha256"]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=message):
        open_dataset(str(home))
