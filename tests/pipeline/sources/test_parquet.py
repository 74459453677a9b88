"""`parquet:GLOB`: Hugging Face's files and our own, read as they are meant; others are refused in one line."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lpe.pipeline.records.bad_records import BadRecord, fail
from lpe.pipeline.sources import open_source
from lpe.pipeline.sources.base import ReadOptions, SourceBatch
from lpe.pipeline.sources.limits import Limits
from lpe.pipeline.sources.parquet_files import split_of
from lpe.transforms.errors import DataError
from tests.pipeline.records.test_parquet import nested
from tests.pipeline.running import contents, refused

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def struct(pixels: np.ndarray) -> pa.Array:
    """A column of images as Hugging Face has it."""
    return pa.array([{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(pixels)], IMAGE)


def features(label: str = "label", image: str = "image", names: object = ("cat", "dog")) -> dict[str, str]:
    """The metadata that `datasets` writes."""
    named = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": named}})}


def write(path: Path, columns: dict[str, object], metadata: dict[str, str] | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns)
    pq.write_table(made.replace_schema_metadata(metadata), path, **options)
    return path


def good(path: Path, first: int = 0, count: int = 20, **options) -> Path:
    columns = {"image": struct(PIXELS[first : first + count]), "label": [i % 2 for i in range(count)]}
    return write(path, columns, features(), row_group_size=7, **options)


def batches(source, split: str, start: int = 0, stop: int | None = None, bad=None) -> list[SourceBatch]:
    size = source.info.splits[split]
    part = source.slice(split, np.arange(start, size if stop is None else stop))
    part = pickle.loads(pickle.dumps(part))
    return list(part.batches(4, bad or fail("x")))


def opened(path: object, **options):
    return open_source(f"parquet:{path}", ReadOptions(**options))


def test_files_are_splits_in_order(tmp_path):
    good(tmp_path / "c" / "train-00001-of-00002.parquet", 20, 20)
    good(tmp_path / "c" / "train-00000-of-00002.parquet", 0, 20)
    good(tmp_path / "c" / "test-00000-of-00001-0a1b.parquet", 0, 3)
    source = opened(tmp_path / "c" / "*.parquet")
    assert source.info.splits == {"train": 40, "test": 3}
    assert (source.info.name, source.info.class_names) == ("c", ("cat", "dog"))
    assert source.info.image_shape == (6, 5, 3)
    read = batches(source, "train")
    assert np.array_equal(np.concatenate([batch.images for batch in read]), PIXELS)
    assert np.concatenate([batch.offsets for batch in read]).tolist() == list(range(40))
    names = [name for batch in read for name in batch.names]
    assert (names[0], names[39]) == ("train-00000-of-00002.parquet#0", "train-00001-of-00002.parquet#19")
    # Any part of it, across files and row groups, and positions with gaps.
    part = batches(source, "train", 13, 31)
    assert np.array_equal(np.concatenate([batch.images for batch in part]), PIXELS[13:31])
    gaps = source.slice("train", np.array([1, 8, 19, 20, 39]))
    assert np.array_equal(
        np.concatenate([b.images for b in gaps.batches(9, fail("x"))]), PIXELS[[1, 8, 19, 20, 39]]
    )
    digest = source.digest()
    assert digest == opened(tmp_path / "c" / "*.parquet").digest()
    good(tmp_path / "c" / "test-00000-of-00001-0a1b.parquet", 1, 3)
    assert digest != opened(tmp_path / "c" / "*.parquet").digest()


def test_a_files_name_tells_its_split():
    for name, split in {
        "train-00000-of-00002.parquet": "train",
        "data/test-00000-of-00001-ab12.parquet": "test",
        "shapes-train_augmented_1-00000-of-00004.parquet": "train_augmented_1",
        "validation.parquet": "validation",
        "val.parquet": "validation",
        "cifar_test.parquet": "test",
        "eval-00000-of-00001.parquet": "validation",
        "x_DEVELOPMENT.parquet": "validation",
        "testing.parquet": "test",
        "0000.parquet": "train",
        "cifar-10-00000-of-00002.parquet": "train",
    }.items():
        assert split_of(name) == split, name


KINDS = {
    "struct": (struct(PIXELS), features()),
    "binary": (pa.array([png(image) for image in PIXELS]), None),
    "large binary": (pa.array([png(image) for image in PIXELS], pa.large_binary()), None),
    "raw": (
        pa.array([image.tobytes() for image in PIXELS], pa.binary(90)),
        {"lpe.image_shape": "[6, 5, 3]"},
    ),
}


@pytest.mark.parametrize(("column", "metadata"), KINDS.values(), ids=KINDS)
def test_kinds_of_images(tmp_path, column, metadata):
    path = write(tmp_path / "x.parquet", {"image": column, "label": [i % 2 for i in range(40)]}, metadata)
    source = opened(path)
    assert source.info.class_names == (
        ("0", "1") if "huggingface" not in (metadata or {}) else ("cat", "dog")
    )
    assert np.array_equal(np.concatenate([batch.images for batch in batches(source, "train")]), PIXELS)
    grey = opened(path, grey=True, image_size=(3, 3))
    assert batches(grey, "train")[0].images.shape == (4, 3, 3, 1)


def test_columns_are_chosen(tmp_path):
    columns = {"img": struct(PIXELS), "fine_label": [0] * 40, "coarse_label": [1] * 40}
    path = write(tmp_path / "x.parquet", columns)
    assert opened(path).columns.label == "fine_label"
    chosen = opened(path, label_key="coarse_label")
    assert (chosen.columns.image, chosen.info.class_names) == ("img", ("0", "1"))
    assert chosen.digest() != opened(path).digest()
    two = write(tmp_path / "y.parquet", {"a": struct(PIXELS), "b": struct(PIXELS), "label": [0] * 40})
    with pytest.raises(DataError, match=r"2 columns can be the image, there is a \(.*--image-key"):
        opened(two)
    assert opened(two, image_key="b").columns.image == "b"
    with pytest.raises(DataError, match="no column 'c' that can be the image"):
        opened(two, image_key="c")
    # What the metadata declare counts before what a column's type allows.
    three = write(
        tmp_path / "z.parquet",
        {"size": [9] * 40, "class": [1] * 40, "pic": struct(PIXELS)},
        features("class", "pic"),
    )
    assert (opened(three).columns.label, opened(three).info.class_names) == ("class", ("cat", "dog"))


def test_single_bad_rows_are_bad_records(tmp_path):
    images = struct(PIXELS[:8]).to_pylist()
    images[1], images[3], images[5] = (
        None,
        {"bytes": b"no image", "path": None},
        {"bytes": png(PIXELS[0][:4])},
    )
    path = write(
        tmp_path / "x.parquet",
        {"image": pa.array(images, IMAGE), "label": pa.array([0, 1, None, 0, 2, 0, -1, 1])},
        features(),
    )
    found: list[BadRecord] = []
    read = batches(opened(path), "train", bad=found.append)
    assert [int(offset) for batch in read for offset in batch.offsets] == [0, 7]
    reasons = {record.where.rpartition(" ")[2]: record.reason for record in found}
    assert [*reasons] == list("123456")
    assert reasons["1"] == "it has no image"
    assert reasons["2"] == "it has no label"
    assert "no image" in reasons["3"]
    assert (reasons["4"], reasons["6"]) == ("label 2 for 2 classes", "label -1 for 2 classes")
    assert "--image-size" in reasons["5"]
    with pytest.raises(DataError, match=r"x\.parquet: row 1: it has no image; x"):
        batches(opened(path), "train")


def test_files_that_do_not_go_together(tmp_path):
    good(tmp_path / "a.parquet")
    write(
        tmp_path / "b.parquet", {"image": struct(PIXELS), "label": [0] * 40}, features(names=("dog", "cat"))
    )
    with pytest.raises(DataError, match=r"b\.parquet: its columns or classes are not those"):
        opened(tmp_path / "*.parquet")


def test_a_file_that_changes_is_told(tmp_path):
    path = good(tmp_path / "a.parquet")
    source = opened(path)
    good(path, count=19)
    with pytest.raises(DataError, match=r"a\.parquet: 19 rows, 20 when the job began"):
        batches(source, "train")
    path.unlink()
    with pytest.raises(DataError, match=r"a\.parquet: missing"):
        batches(source, "train")


ONE = {"image": struct(PIXELS[:4]), "label": [0, 1, 0, 1]}
HOSTILE = {
    "metadata are no JSON": (ONE, {"huggingface": "{"}, "metadata 'huggingface': damaged"),
    "metadata are a list": (ONE, {"huggingface": "[]"}, "not a JSON object"),
    "metadata nested deeply": (ONE, {"huggingface": "[" * 100_000}, "nested too deeply"),
    "too many names": (ONE, features(names=[str(i) for i in range(100_001)]), "100001 classes"),
    "names are numbers": (ONE, features(names=[1, 2]), "names"),
    "no names": (ONE, features(names=[]), "class names"),
    "a name of two lines": (ONE, features(names=["a\nb", "c"]), "control characters"),
    "a shape of 2^60": (ONE, {"lpe.image_shape": "[1152921504606846976, 1]"}, "no shape"),
    "labels of 2^62": ({**ONE, "label": [0, 1, 2, 1 << 62]}, None, "labels are numbers from 0"),
    "no labels": ({**ONE, "label": pa.array([None] * 4, pa.int64())}, None, "the largest 'label' is -1"),
    "no image": ({"text": ["a"], "label": [0]}, None, "0 columns can be the image, there is text (string)"),
    "no rows": ({**ONE, "image": struct(PIXELS[:0]), "label": pa.array([], pa.int64())}, None, "no rows"),
}


@pytest.mark.parametrize(("columns", "metadata", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path, columns, metadata, said):
    path = write(tmp_path / "x.parquet", columns, metadata, compression="zstd")
    with pytest.raises(DataError) as raised:
        opened(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bomb_may_be_trusted(tmp_path):
    path = write(tmp_path / "x.parquet", {**ONE, "pad": [bytes(1 << 20)] * 4}, compression="zstd")
    with pytest.raises(DataError, match=r"x\.parquet: unpacks to more than 9999 bytes.*--max-unpacked-bytes"):
        opened(path, limits=Limits(unpacked_bytes=9999))
    assert opened(path, limits=Limits(unpacked_bytes=1 << 24)).info.splits == {"train": 4}


def test_files_that_are_none(tmp_path):
    data = good(tmp_path / "good.parquet").read_bytes()
    for bad, said in {
        b"": "no Parquet file",
        data[:-4] + b"PARE": "encrypted",
        data[:-1]: "damaged at its end",
        nested(20_000): "damaged Parquet",
        data[: len(data) // 2] + data[-9:]: "damaged",
    }.items():
        (tmp_path / "x.parquet").write_bytes(bad)
        with pytest.raises(DataError, match=r"x\.parquet: ") as raised:
            opened(tmp_path / "x.parquet")
        assert said in str(raised.value)


def test_whole_jobs(lpe, tmp_path):
    good(tmp_path / "c" / "train.parquet", 0, 40)
    source, home = f"parquet:{tmp_path}/c/*.parquet", tmp_path / "plain" / "c"
    made = lpe("ingest", "--source", source, "--output", home, "--validation-fraction", "0.1", "--json")
    assert {name: split["examples"] for name, split in made.json["splits"].items()} == {
        "train": 36,
        "validation": 4,
    }
    # Ours, read as anybody's, is the same again.
    again = tmp_path / "again" / "c"
    rows = tmp_path / "rows" / "c"
    for words in (
        ("--source", f"dataset:{home}", "--output", rows, "--format", "parquet"),
        ("--source", f"parquet:{rows}/1.0.0/*.parquet", "--output", again),
    ):
        assert lpe("ingest", *words).code == 0
    assert contents(again) == contents(home)
    words = ("ingest", "--source", source, "--output", tmp_path / "keyed" / "c", "--label-key")
    assert lpe(*words, "label").code == 0
    refused(lpe(*words, "class"), "no column 'class' that can be the label")
    refused(
        lpe("ingest", "--source", "parquet:nowhere/*.parquet", "--output", again), "nowhere", "no such file"
    )
    bad = pa.array([{"bytes": b"no", "path": ""}, {"bytes": png(PIXELS[0]), "path": ""}], IMAGE)
    write(tmp_path / "bad.parquet", {"image": bad, "label": [0, 0]}, features())
    words = ("ingest", "--source", f"parquet:{tmp_path}/bad.parquet", "--output", tmp_path / "bad" / "c")
    refused(lpe(*words), "bad.parquet: row 0", "--on-bad-record skip")
    assert lpe(*words, "--on-bad-record", "skip", "--json").json["bad_records"] == 1
