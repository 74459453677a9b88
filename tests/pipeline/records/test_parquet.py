"""Examples in both kinds of files: what is written is read back; and Parquet files that are not as we write them."""

from __future__ import annotations

import dataclasses
import io

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat, parquet_shard
from lpe.pipeline.records.parquet_schema import schema_of
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from tests.pipeline.records.examples import FORMAT, SHAPE, as_set, assert_same, joined, read, some

PARQUET = dataclasses.replace(FORMAT, file_format="parquet")
PNG = RecordFormat(None, "png", 3, file_format="parquet")


@st.composite
def batches(draw: st.DrawFn) -> tuple[ImageBatch, RecordFormat]:
    """A batch of any shape, labels and ids, and a format that it can be written in."""
    encoding = draw(st.sampled_from(["raw", "png"]))
    channels = draw(st.sampled_from([1, 3]) if encoding == "png" else st.integers(1, 5))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 9)), channels)
    count = draw(st.integers(1, 7))
    data = draw(st.binary(min_size=1, max_size=64))
    images = np.resize(np.frombuffer(data, np.uint8), (count, *shape))
    ids = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=count, max_size=count))
    labels = draw(st.lists(st.integers(0, 2**63 - 1), min_size=count, max_size=count))
    fixed = shape if encoding == "raw" or draw(st.booleans()) else None
    kind = draw(st.sampled_from(["tfrecord", "parquet"]))
    return ImageBatch(ids, images, np.array(labels, np.int64)), RecordFormat(
        fixed, encoding, channels, file_format=kind
    )


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)
@hypothesis.given(batches(), st.integers(1, 9))
def test_whatever_is_written_is_read_back(written, batch_size):
    batch, fmt = written
    found = read(records.encode(batch, fmt, ("cat",)), fmt, batch_size=batch_size)
    assert all(len(part) <= batch_size for part in found)
    assert_same(joined(found), batch)


@pytest.mark.parametrize("fmt", [PARQUET, PNG], ids=["raw", "png"])
def test_bytes_do_not_depend_on_batches(fmt, monkeypatch):
    monkeypatch.setattr(parquet_shard, "GROUP_BYTES", 600)  # ten images
    batch = some(64)

    def written(*cuts: int) -> bytes:
        file = io.BytesIO()
        writer = parquet_shard.Writer(file, fmt, ("a",) * 10)
        for start, stop in zip((0, *cuts), (*cuts, len(batch)), strict=True):
            writer.write(batch[start:stop])
        writer.close()
        return file.getvalue()

    whole = written()
    assert whole == written(1, 2, 31) == written(*range(1, 64))
    assert pq.ParquetFile(io.BytesIO(whole)).num_row_groups > 4
    assert_same(joined(read(whole, fmt)), batch)


def test_no_examples_are_a_file():
    assert read(records.encode(some(0), PARQUET), PARQUET) == []


def table(batch: ImageBatch, **changed: object) -> pa.Table:
    columns = {
        "image": pa.array([image.tobytes() for image in batch.images], pa.binary(60)),
        "label": pa.array(batch.labels),
        "id": pa.array(batch.ids),
    } | changed
    return pa.table({name: column for name, column in columns.items() if column is not None})


def written(made: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(made, file, **{"compression": "none", "use_dictionary": False, **options})
    return file.getvalue()


def test_what_others_write_plainly_is_read():
    assert_same(joined(read(written(table(some(9)), row_group_size=4), PARQUET)), some(9))


NINE = some(9)
OTHERS = {
    "no label": (table(NINE, label=None), {}, "its columns are image"),
    "labels are text": (table(NINE, label=pa.array(["cat"] * 9)), {}, "label (string)"),
    "larger images": (
        table(NINE, image=pa.array([bytes(61)] * 9, pa.binary(61))),
        {},
        "fixed_size_binary[61]",
    ),
    "null label": (table(NINE, label=pa.array([1, 2, None] * 3)), {}, "record 2 has no label"),
    "null image": (
        table(NINE, image=pa.array([*[bytes(60)] * 8, None], pa.binary(60))),
        {"row_group_size": 4},
        "record 8 has no image",
    ),
    "null id": (table(NINE, id=pa.array([None] * 9, pa.string())), {}, "record 0 has no id"),
    "compressed": (table(NINE), {"compression": "zstd"}, "not stored plainly"),
    "a dictionary": (table(NINE), {"use_dictionary": True}, "not stored plainly"),
    "a row group of gigabytes": (
        table(some(300_000, shape=(1, 1, 60))),
        {"row_group_size": 300_000},
        "size of a row group",
    ),
    "deep": (table(NINE, id=pa.array([[[[["a"]]]]] * 9)), {}, "its columns are"),
}


@pytest.mark.parametrize(("made", "options", "said"), OTHERS.values(), ids=OTHERS)
def test_other_tables_are_refused(made, options, said):
    with pytest.raises(DataError, match=r"^x\.tfrecord: ") as raised:
        read(written(made, **options), PARQUET)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_files_are_refused():
    good = records.encode(NINE, PARQUET)
    for data, said in {
        b"": "cut off (0 bytes)",
        good[:-1]: "damaged at its end",
        good[:-4] + b"PARE": "encrypted",
        good[:-8] + b"\xff\xff\xff\x7fPAR1": "damaged at its end",
        b"x" * 100 + good: "damaged Parquet",
        records.encode(NINE, FORMAT): "no Parquet file",
    }.items():
        with pytest.raises(DataError) as raised:
            read(data, PARQUET)
        assert said in str(raised.value), said


def nested(depth: int) -> bytes:
    """A file whose one column is a struct within a struct and so on, which Arrow alone would not survive."""

    def element(name: bytes, children: int) -> bytes:
        return b"\x35\x00\x18" + bytes([len(name)]) + name + b"\x15" + bytes([2 * children]) + b"\x00"

    count = depth + 2
    digits = bytes([count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14])
    elements = element(b"schema", 1) + element(b"a", 1) * depth + b"\x15\x02\x25\x00\x18\x01x\x00"
    footer = b"\x15\x02\x19\xfc" + digits + elements + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize("depth", [3000, 20_000, 500_000])
def test_deep_schemas_are_refused(depth):
    with pytest.raises(DataError):
        read(nested(depth), PARQUET)


@pytest.mark.parametrize("description", [b"\x19" * 100_000, b"\x1c" * 100_000])
def test_deep_descriptions_are_refused(description):
    file = b"PAR1" + description + len(description).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(DataError, match="nested too deeply"):
        read(file, PARQUET)


def test_an_image_that_cannot_be_read_is_a_bad_record():
    data = pa.array(
        [{"bytes": b"no image", "path": None}, {"bytes": None}], schema_of(PNG).field("image").type
    )
    two, bad = some(2), []
    made = table(two, image=data)
    assert read(written(made), PNG, bad.append) == []
    assert [record.where for record in bad] == ["x.tfrecord: record 0", "x.tfrecord: record 1"]
    assert bad[1].reason == "it has no image"


def test_shapes_are_kept():
    first, second = some(3), some(4, shape=(2, 7, 3), seed=1)
    second = ImageBatch([f"b{i}" for i in range(4)], second.images, second.labels)
    file = io.BytesIO()
    writer = parquet_shard.Writer(file, PNG, ())
    for batch in (first, second):
        writer.write(batch)
    writer.close()
    found = read(file.getvalue(), PNG)
    assert [part.images.shape for part in found] == [(3, *SHAPE), (4, 2, 7, 3)]
    assert set().union(*map(as_set, found)) == as_set(first) | as_set(second)
