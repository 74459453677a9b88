"""lpe ingest --append: a plain dataset that grows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import lpe as api
from lpe.pipeline.dataset import open_dataset
from tests.pipeline.jobs.numbered_images import CLASSES, draw
from tests.pipeline.running import contents, files, flipped
from tests.tamper.editing import edit_json


@pytest.fixture
def photos(tmp_path) -> Path:
    return draw(tmp_path / "photos", range(20))


@pytest.fixture
def home(lpe, photos, tmp_path) -> Path:
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home).code == 0
    return home


def append(lpe, source: object, home: Path, *more: object):
    uri = source if ":" in str(source) else f"folder:{source}"
    return lpe("ingest", "--source", uri, "--output", home, "--append", "--json", *more)


def appended(lpe, source: object, home: Path, *more: object) -> dict:
    outcome = append(lpe, source, home, *more)
    assert outcome.code == 0, outcome.err
    assert lpe("verify", home).code == 0
    return outcome.json


def id_map(home: Path, version: str) -> dict[str, str]:
    table = pq.read_table(home / version / "ids.parquet")
    return dict(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True))


def test_a_folder_that_has_grown(lpe, photos, home):
    before, labels = contents(home), open_dataset(str(home)).class_names
    draw(photos, range(20, 25))
    value = appended(lpe, photos, home)
    assert value["status"] == "ok"
    assert value["left_out"] == {"known": 20, "repeated": 0}
    assert value["notes"] == ["20 images are there already (by the content of their files) and left out"]
    assert value["splits"]["train"]["examples"] == 25
    assert value["classes"]["train"] == {"cat": 13, "dog": 12}
    after = contents(home)
    assert {name: after[name] for name in before} == before
    added = sorted(after.keys() - before.keys())
    assert added == [f"train-{number:07d}" for number in range(20, 25)]
    assert open_dataset(str(home)).class_names == labels
    names = id_map(home, "1.0.1")
    assert {names[name] for name in added} == {f"{CLASSES[n % 2]}/{n:03d}.png" for n in range(20, 25)}
    assert id_map(home, "1.0.0").items() <= names.items()
    for name in added:  # each id has the pixels of the file that its name is of
        number = int(Path(names[name]).stem)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        assert after[name] == (pixels.tobytes(), number % 2)


def test_old_shards_are_links_and_outlive_the_old_version(lpe, photos, home):
    draw(photos, range(20, 25))
    appended(lpe, photos, home)
    old, new = (home / v / f"shapes-train.tfrecord-00000-of-0000{n}" for v, n in (("1.0.0", 1), ("1.0.1", 2)))
    assert old.samefile(new)
    shutil.rmtree(home / "1.0.0")
    assert lpe("verify", home).code == 0


def test_run_again_and_with_nothing_new_it_writes_no_version(lpe, photos, home):
    draw(photos, range(20, 22))
    appended(lpe, photos, home)
    whole = files(home)
    value = appended(lpe, photos, home)
    assert value["status"] == "skipped"
    assert value["notes"][-1] == "nothing is new: no version was written"
    assert files(home) == whole


def test_numbers_go_on_after_those_of_images_that_could_not_be_read(lpe, photos, tmp_path):
    (photos / "cat" / "damaged.png").write_bytes(b"no image")
    home = tmp_path / "plain" / "shapes"
    skip = ("--on-bad-record", "skip")
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home, *skip).code == 0
    ids = [*contents(home)]
    assert len(ids) == 20
    (photos / "cat" / "damaged.png").unlink()
    for number in range(20, 23):
        draw(photos, range(number, number + 1))
        assert appended(lpe, photos, home, *skip)["bad_records"] == 1
    assert sorted({*contents(home)} - {*ids}) == [f"train-{number:07d}" for number in (21, 22, 23)]
    assert (home / "1.0.3" / "bad_records.jsonl").read_text().count("\n") == 1


def test_images_that_are_in_the_source_twice_count_once(lpe, photos, home):
    draw(photos, range(20, 21))
    shutil.copy(photos / "cat" / "020.png", photos / "dog" / "again.png")
    value = appended(lpe, photos, home)
    assert value["left_out"] == {"known": 20, "repeated": 1}
    assert value["splits"]["train"]["examples"] == 21


def test_a_new_split_comes_last_and_a_cut_is_made_of_new_images_alone(lpe, photos, home, tmp_path):
    more = draw(draw(tmp_path / "more", range(30, 34), split="test"), range(20, 30), split="train")
    value = appended(lpe, more, home, "--validation-fraction", "0.2")
    assert {name: split["examples"] for name, split in value["splits"].items()} == {
        "train": 28, "validation": 2, "test": 4
    }  # fmt: skip
    assert [*value["splits"]] == ["train", "validation", "test"]


def test_new_classes_are_refused_or_come_last(lpe, photos, home):
    draw(photos, range(21, 27), classes=("bee", "eel", "ant"))
    before = contents(home)
    error = append(lpe, photos, home).json["error"]
    assert "classes that are not in the dataset: 'ant', 'bee', 'eel'; " in error
    assert "--add-labels" in error
    assert [path.name for path in home.iterdir()] == ["1.0.0"]
    appended(lpe, photos, home, "--add-labels")
    assert open_dataset(str(home)).class_names == (*CLASSES, "ant", "bee", "eel")
    after = contents(home)
    assert {name: after[name] for name in before} == before
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home, "--add-labels").code == 2


def test_labels_are_mapped_by_name(lpe, home, tmp_path):
    value = appended(lpe, draw(tmp_path / "dogs", range(20, 24), classes=("dog",)), home)
    assert value["classes"]["train"] == {"cat": 10, "dog": 14}
    assert {contents(home)[f"train-{number:07d}"][1] for number in range(20, 24)} == {1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image-size", "4x4"), "its images are 4x4x3"),
        (("--grey",), "its images are 8x8x1"),
        (("--keep-ids",), "leave out --keep-ids"),
        (("--format", "parquet"), "has tfrecord files"),
        (("--image-size", "8x8"), "read with image_size [8, 8]"),
    ],
)
def test_what_does_not_fit_is_refused(lpe, photos, home, words, said):
    draw(photos, range(20, 22))
    outcome = append(lpe, photos, home, *words)
    assert outcome.code in (1, 2)
    assert said in outcome.out + outcome.err
    assert [path.name for path in home.iterdir()] == ["1.0.0"]


def test_there_must_be_a_dataset_that_can_be_continued(lpe, photos, home, tmp_path):
    nowhere = tmp_path / "none" / "shapes"
    assert append(lpe, photos, nowhere).code == 1
    assert not nowhere.exists()
    assert "name its home" in append(lpe, photos, home / "1.0.0").json["error"]
    for file in ("manifest.json", "ids.parquet"):
        (home / "1.0.0" / file).unlink()
    assert "which numbers its ids have had" in append(lpe, photos, home).json["error"]


def test_names_as_ids_stay_names_and_must_be_new(lpe, photos, tmp_path):
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home, "--keep-ids").code == 0
    assert "pass --keep-ids too" in append(lpe, photos, home).json["error"]
    draw(photos, range(20, 21))
    appended(lpe, photos, home, "--keep-ids")
    assert "cat/020.png" in contents(home)
    shutil.copy(draw(tmp_path / "x", range(50, 51)) / "cat" / "050.png", photos / "cat" / "000.png")
    assert "an image of this name is there already" in append(lpe, photos, home, "--keep-ids").json["error"]


def test_without_files_the_pixels_are_compared(lpe, home, photos, tmp_path):
    """A source that is another dataset: ids of its own are not taken."""
    other = tmp_path / "other" / "shapes"
    draw(tmp_path / "b", range(15, 26))
    assert lpe("ingest", "--source", f"folder:{tmp_path / 'b'}", "--output", other).code == 0
    value = appended(lpe, f"dataset:{other}", home)
    assert value["left_out"] == {"known": 5, "repeated": 0}
    assert "(by their pixels)" in value["notes"][0]
    assert sorted(contents(home)) == [f"train-{number:07d}" for number in range(26)]
    pixels = {image for image, _ in contents(home).values()}
    assert len(pixels) == 26
    assert id_map(home, "1.0.1")["train-0000020"].startswith("train-")  # its id there
    # Nobody knows the digests of these images' files: the folder is compared by pixels, too.
    draw(photos, range(20, 27))
    assert appended(lpe, photos, home)["left_out"]["known"] == 26


def test_a_dataset_without_a_map_has_one_of_what_is_added(lpe, photos, home):
    (home / "1.0.0" / "ids.parquet").unlink()
    edit_json(home / "1.0.0" / "manifest.json", lambda manifest: manifest["files"].pop("ids.parquet"))
    for count in (1, 2):
        draw(photos, range(19 + count, 20 + count))
        assert "(by their pixels)" in appended(lpe, photos, home)["notes"][0]
    assert len(id_map(home, "1.0.2")) == 2


def test_names_alone_when_no_file_is_to_be_read(lpe, photos, home):
    draw(photos, range(20, 22))
    value = appended(lpe, photos, home, "--digest", "names-and-sizes")
    assert value["notes"][0] == "20 images are there already (by their names alone) and left out"
    assert value["splits"]["train"]["examples"] == 22


def test_a_carried_shard_that_is_changed_is_found(lpe, photos, home):
    draw(photos, range(20, 22))
    appended(lpe, photos, home)
    shard = home / "1.0.1" / "shapes-train.tfrecord-00000-of-00002"
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(flipped(content, 100))
    assert lpe("verify", home).code == 1
    # One that is missing is not passed over, and nothing is published.
    shard.unlink()
    draw(photos, range(22, 23))
    assert "this shard is missing" in append(lpe, photos, home).json["error"]
    assert not (home / "1.0.2").exists()


def test_parquet_files_are_taken_over_too(lpe, photos, tmp_path):
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", f"folder:{photos}", "--output", home, "--format", "parquet").code == 0
    draw(photos, range(20, 22))
    assert appended(lpe, photos, home)["splits"]["train"]["shards"] == 2
    assert len(contents(home)) == 22
    assert "-of-00002.parquet" in (home / "1.0.1" / "README.md").read_text()


def test_in_python(photos, home):
    draw(photos, range(20, 22))
    result = api.append(api.JobSpec(api.ReadSpec(f"folder:{photos}"), str(home)))
    assert result.left_out == {"known": 20, "repeated": 0}
    assert result.dataset.numbers == {"train": 22}
    assert result.dataset.splits["train"].shard_lengths == (20, 2)


def test_files_that_can_never_be_read_are_no_news(lpe, photos, home):
    (photos / CLASSES[0] / "bad.png").write_bytes(b"no image")
    value = appended(lpe, photos, home, "--on-bad-record", "skip")
    assert value["status"] == "skipped"
    assert value["notes"][-1] == "nothing is new: no version was written"
    assert sorted(path.name for path in home.iterdir()) == ["1.0.0"]
    for version in ("1.0.1", "1.0.2"):
        draw(photos, range(int(version[-1]) * 30, int(version[-1]) * 30 + 2))
        value = appended(lpe, photos, home, "--on-bad-record", "skip")
        assert value["dataset"] == str(home / version)
        assert value["bad_records"] == 1
