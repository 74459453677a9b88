"""lpe.inspect: what it finds in folders of odd files, in arrays and datasets, and what it advises."""

from __future__ import annotations

import importlib.util
import io
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

import lpe
from tests.pipeline.running import encrypt, files

PIXELS = np.random.default_rng(3).integers(0, 256, (40, 24, 32, 3), np.uint8)


def save(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)
    return path


def inspect(folder: Path, output: Path | None = None, **options: object) -> lpe.Inspection:
    read = lpe.ReadSpec(f"folder:{folder}", lpe.ReadOptions(**options))
    return lpe.inspect(read, output=None if output is None else str(output))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """Two classes in two splits: photographs, and one of each thing that goes wrong."""
    root = tmp_path_factory.mktemp("inspect") / "photos"
    for i in range(6):
        save(root / "train" / "cat" / f"{i}.jpg", PIXELS[i])
        save(root / "train" / "dog" / f"{i}.png", PIXELS[10 + i])
        save(root / "test" / "dog" / f"{i}.png", PIXELS[20 + i])
    for i in range(2):
        save(root / "test" / "cat" / f"{i}.jpg", PIXELS[30 + i])
    cat, image = root / "train" / "cat", Image.fromarray(PIXELS[39])
    save(cat / "turned.jpg", image, exif=turned(6))
    alpha = image.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    save(cat / "alpha.png", alpha)
    save(cat / "deep.png", np.arange(24 * 32).reshape(24, 32).astype(np.uint16) + 100)
    save(cat / "anim.gif", image, save_all=True, append_images=[Image.fromarray(PIXELS[38])])
    save(cat / "cmyk.jpg", image.convert("CMYK"))
    save(cat / "grey.png", image.convert("L"))
    (cat / "no.jpg").write_bytes(b"no image at all")
    (cat / "cut.png").write_bytes((cat / "alpha.png").read_bytes()[:900])
    (cat / "notes.txt").write_text("not an image")
    shutil.copy(cat / "0.jpg", root / "train" / "dog" / "same.jpg")
    shutil.copy(root / "train" / "dog" / "1.png", root / "test" / "dog" / "seen.png")
    shutil.copy(cat / "2.jpg", cat / "again.jpg")
    return root


def test_it_counts_classes_sizes_and_how_images_are_stored(odd):
    found = inspect(odd)
    assert found.classes.by_split == {"train": {"cat": 14, "dog": 7}, "test": {"cat": 2, "dog": 7}}
    assert found.to_json()["splits"] == {"train": 21, "test": 9}
    assert found.sizes is not None
    assert (found.sizes.distinct, found.sizes.most[0]) == (2, ((24, 32), 29))
    assert found.sizes.smallest == found.sizes.median == (24, 32)
    assert (32, 24) in [size for size, _ in found.sizes.most]  # the one that is turned
    survey = found.found
    assert survey.formats == {"JPEG": 12, "PNG": 17, "GIF": 1}
    assert survey.modes["16-bit grey"] == survey.modes["CMYK"] == survey.modes["grey"] == 1
    assert survey.orientations == {6: 1}
    assert (survey.transparent, survey.animated, survey.deep, survey.large) == (2, 1, 1, 0)
    assert survey.bytes == sum(len(data) for name, data in files(odd).items() if not name.endswith(".txt"))


def test_it_names_what_cannot_be_read_by_its_header_and_by_its_pixels(odd):
    found = inspect(odd).found
    assert {record.where for record in found.unreadable.first} == {"train/cat/no.jpg", "train/cat/notes.txt"}
    assert found.unreadable.count == 2
    assert found.decoded == 30
    assert [record.where for record in found.refused.first] == ["train/cat/cut.png"]
    assert "truncated" in found.refused.first[0].reason


def test_duplicates_across_classes_and_splits_come_first(odd):
    found = inspect(odd).duplicates
    assert (found.compared, found.groups, found.superfluous) == ("files", 3, 3)
    assert (found.across_classes, found.across_splits) == (1, 1)
    groups = [{copy.name for copy in group} for group in found.shown]
    assert groups == [
        {"train/cat/0.jpg", "train/dog/same.jpg"},
        {"train/dog/1.png", "test/dog/seen.png"},
        {"train/cat/2.jpg", "train/cat/again.jpg"},
    ]
    assert {copy.class_name for copy in found.shown[0]} == {"cat", "dog"}
    assert {copy.split for copy in found.shown[1]} == {"train", "test"}


def test_with_what_it_advises_everything_that_can_be_read_is_ingested(lpe, odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = lpe("inspect", f"folder:{odd}")
    assert outcome.code == 0
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("next: "))
    words = shlex.split(line.removeprefix("next: "))
    for option in ("--image-size", "--background", "--window", "--frame", "--on-bad-record"):
        assert option in words
    assert "--window 100:867 or --depth 8" in outcome.out
    made = lpe(*words[1:], "--json").json
    assert (sum(split["examples"] for split in made["splits"].values()), made["bad_records"]) == (29, 3)


def test_options_that_were_given_are_kept_and_not_advised(lpe, odd):
    words = ("--image-size", "16x20", "--background", "#ff8000", "--depth", 8, "--frame", 1)
    outcome = lpe("inspect", f"folder:{odd}", *words)
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("next: "))
    assert line.count("--image-size 16x20") == line.count("--depth 8") == line.count("--frame 1") == 1
    assert "or --image-size" not in outcome.out
    value = lpe("inspect", f"folder:{odd}", *words, "--json").json
    assert value["assumed"] == []
    assert [advice["options"] for advice in value["advice"]] == [
        ["--on-bad-record skip"],
        ["--validation-fraction 0.1"],
    ]
    # There is no second frame but of the animation, whose name is right; what is damaged stays so.
    assert value["decoded"]["refused"]["count"] >= 1


def test_what_it_foretells_is_what_is_written(lpe, odd, tmp_path, keystore):
    words = ("--image-size", "16x16", "--background", "white", "--depth", 8, "--frame", 0)
    value = lpe("inspect", f"folder:{odd}", *words, "--cipher", "pbe", "--json").json
    more = (*words, "--on-bad-record", "skip")
    source = f"folder:{odd}"
    ingested = lpe("ingest", "--source", source, "--output", tmp_path / "a" / "b", *more, "--json").json
    encrypted = encrypt(lpe, keystore, source, tmp_path / "c" / "d", *more).json
    assert value["estimates"]["encrypt"]["cipher"] == "pbe"
    for job, made in (("ingest", ingested), ("encrypt", encrypted)):
        estimate = value["estimates"][job]
        assert {name: split["shards"] for name, split in estimate["splits"].items()} == {
            name: split["shards"] for name, split in made["splits"].items()
        }
        # The bad ones are among those that would be written.
        written = sum(split["bytes"] for split in made["splits"].values())
        assert written <= estimate["bytes"] == pytest.approx(written * 33 / 29, rel=0.05)
        assert estimate["core_seconds"] > 0


def test_an_encryption_that_would_be_refused_is_no_failure(odd):
    read = lpe.ReadSpec(f"folder:{odd}", lpe.ReadOptions(image_size=(30, 30), depth=8))
    ingest, encryption = lpe.inspect(read, "etc").estimates
    assert ingest.forecast is not None
    assert encryption.forecast is None
    assert "30" in encryption.refused


def test_a_folder_of_which_nothing_can_be_read_is_described_all_the_same(lpe, tmp_path):
    (tmp_path / "bad" / "cat").mkdir(parents=True)
    for i in range(7):
        (tmp_path / "bad" / "cat" / f"{i}.jpg").write_bytes(b"no image")
    outcome = lpe("inspect", f"folder:{tmp_path}/bad", "--output", tmp_path / "sheet.png", "--json")
    assert outcome.code == 0
    assert outcome.json["images"] == 0
    assert outcome.json["sizes"] is None
    assert outcome.json["estimates"] == {}
    assert outcome.json["unreadable"]["count"] == 7
    assert len(outcome.json["unreadable"]["first"]) == 5
    assert lpe("inspect", f"folder:{tmp_path}/bad").code == 0


def test_images_of_more_pixels_than_the_limit_are_counted_not_decoded(lpe, tmp_path):
    for i in range(3):
        save(tmp_path / "few" / "cat" / f"{i}.png", PIXELS[i])
    save(tmp_path / "few" / "cat" / "large.png", np.zeros((100, 50, 3), np.uint8))
    value = lpe("inspect", f"folder:{tmp_path}/few", "--max-pixels", 800, "--image-size", 8, "--json").json
    assert (value["too_large"], value["decoded"]["images"]) == (1, 3)
    advised = [option for advice in value["advice"] for option in advice["options"]]
    assert advised == ["--max-pixels 5000", "--validation-fraction 0.1"]


def test_nothing_is_written_but_the_sheet(lpe, odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files(odd)
    assert lpe("inspect", f"folder:{odd}").code == 0
    assert files(tmp_path) == {}
    assert lpe("inspect", f"folder:{odd}", "--output", "sheet.png").code == 0
    assert list(files(tmp_path)) == ["sheet.png"]
    assert files(odd) == before


def test_the_sheet_has_a_row_for_each_class_upright_and_marked(odd, tmp_path):
    from lpe.pipeline.jobs.inspection.sheet import CAPTION, CELL, COLUMNS, GAP, HEAD, MARGIN  # noqa: PLC0415

    root = tmp_path / "flags"
    half = np.zeros((24, 48, 3), np.uint8)
    half[:, :24] = (250, 20, 20)  # red on the left as stored: on top once turned
    half[:, 24:] = (20, 20, 250)
    save(root / "a" / "1.jpg", half, exif=turned(6), quality=95)
    clear = Image.fromarray(half).convert("RGBA")
    clear.putalpha(0)
    save(root / "b" / "1.png", clear)
    (root / "b" / "2.png").write_bytes(b"no image")
    inspect(root, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (MARGIN + COLUMNS * (CELL + GAP), HEAD + 2 * (CELL + CAPTION + GAP))
    pixels = np.asarray(sheet).astype(int)

    def cell(row: int, column: int) -> np.ndarray:
        top, left = HEAD + row * (CELL + CAPTION + GAP), MARGIN + column * (CELL + GAP)
        return pixels[top : top + CELL, left : left + CELL]

    red, blue = cell(0, 0)[20, CELL // 2], cell(0, 0)[-20, CELL // 2]
    assert red[0] - red[2] > 150
    assert blue[2] - blue[0] > 150
    squares = {tuple(colour) for colour in cell(1, 0)[CELL // 2]}
    assert squares == {(235, 235, 235), (200, 200, 200)}
    assert (cell(1, 1)[CELL // 2 - 5 : CELL // 2 + 5] == (190, 75, 0)).all(axis=-1).any()  # crossed out
    assert not (cell(0, 1) != 255).any()


def test_of_many_classes_the_largest_and_the_smallest_are_shown(lpe, tmp_path):
    root = tmp_path / "many"
    for number in range(14):
        for i in range(1 + number % 3):
            save(root / f"class{number:02d}" / f"{i}.png", PIXELS[number, :4, : 3 + i])
    found = inspect(root, tmp_path / "sheet.png")
    assert str(found.classes) == "14, from 1 (class00) to 3 images (class02), 3.0 times as many"
    assert found.classes.table()[1][4] == ["… 6 more", "…", "…"]
    assert Image.open(tmp_path / "sheet.png").height == 44 + 10 * 152
    value = lpe("inspect", f"folder:{root}", "--json").json
    assert value["classes"]["train"]["class13"] == 2
    assert value["images"] == sum(value["classes"]["train"].values()) == 27


def test_arrays_are_compared_by_their_pixels(lpe):
    value = lpe("inspect", "synthetic:60", "--json").json
    assert (value["images"], value["sizes"]["distinct"]) == (72, 1)
    assert value["bytes"] == 72 * 3072
    assert (value["modes"], value["formats"]) == ({"RGB": 72}, {})
    assert value["duplicates"]["compared"] == "pixels"
    assert value["duplicates"]["groups"] == 0
    assert value["decoded"]["images"] == 0


def test_parquet_files_are_looked_at_as_folders_are(lpe, tmp_path):
    def encoded(pixels: np.ndarray) -> bytes:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    for split, first in (("train", 0), ("test", 3)):  # image 3 and 4 are in both
        images = [{"bytes": encoded(PIXELS[first + i]), "path": None} for i in range(5)]
        images[0] = {"bytes": b"no", "path": None}
        table = pa.table({"image": images, "label": [i % 2 for i in range(5)]})
        pyarrow.parquet.write_table(table, tmp_path / f"{split}.parquet")
    value = lpe("inspect", f"parquet:{tmp_path}/*.parquet", "--json", "--output", tmp_path / "sheet.png").json
    assert value["splits"] == {"train": 4, "test": 4}
    assert value["unreadable"]["count"] == 2
    assert value["unreadable"]["first"][0]["where"] == "train.parquet#0"
    assert (value["duplicates"]["groups"], value["duplicates"]["across_splits"]) == (1, 1)
    assert (tmp_path / "sheet.png").exists()


def test_a_plain_dataset_is_looked_at_and_an_encrypted_one_refused(lpe, plain, keystore, tmp_path):
    sheet = tmp_path / "sheet.png"
    value = lpe("inspect", f"dataset:{plain}", "--json", "--output", sheet).json
    source = lpe("inspect", "synthetic:100", "--json", "--output", tmp_path / "source.png").json
    for name in ("images", "splits", "classes", "bytes", "sizes", "modes", "duplicates"):
        assert value[name] == source[name], name
    assert list(value["estimates"]) == ["encrypt"]
    assert value["advice"] == []
    # Both draw the same images, under another heading.
    drawn, expected = (np.asarray(Image.open(path))[44:] for path in (sheet, tmp_path / "source.png"))
    assert np.array_equal(drawn, expected)
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{plain}", home)
    refused = lpe("inspect", f"dataset:{home}")
    assert refused.code == 1
    assert "encrypted already; lpe show" in refused.err


def test_its_numbers_are_json(lpe, odd):
    assert json.dumps(lpe("inspect", f"folder:{odd}", "--json").json)


@pytest.mark.parametrize(("package", "folder"), [("skimage", "data"), ("matplotlib", "mpl-data/sample_data")])
def test_images_that_packages_ship(tmp_path, package, folder):
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    images = [
        path
        for path in sorted((Path(spec.origin).parent / folder).iterdir())
        if path.suffix.lower() in (".png", ".jpg", ".tif", ".gif")
    ]
    root = tmp_path / "shipped" / package
    root.mkdir(parents=True)
    for path in images:
        shutil.copy(path, root / path.name)
    found = inspect(root.parent, tmp_path / "sheet.png", image_size=(64, 64))
    assert found.classes.images + found.found.unreadable.count == len(images)
    assert found.found.decoded == found.classes.images
    assert not found.found.refused.count
    assert found.estimates[0].forecast is not None
