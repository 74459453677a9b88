"""Parquet files, damaged and made up: maps of ids, shards, sources, each read as it was written, or refused."""

import dataclasses
import io
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.dataset.id_map import id_map, read_id_map, write_id_map
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.parquet import ParquetSource
from lpe.transforms.errors import DataError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import mutated
from tests.fuzz.trial import trial
from tests.pipeline.records.examples import FORMAT, ignore, some
from tests.pipeline.records.examples import read as read_records

TABLE = id_map([f"train-{i:07d}" for i in range(50)], "train", [f"cat/photo {i}.png" for i in range(50)])


def written(table: pa.Table = TABLE, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, write_page_checksum=True, **options)
    return out.getvalue()


GOOD = [
    written(),
    written(compression="zstd"),
    written(data_page_version="2.0"),
    written(use_dictionary=False),
]


def read(data: bytes, rows: int = 50) -> pa.Table | None:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(data)
        file.flush()
        return trial(lambda: read_id_map(file.name, rows, "write it again"))


def test_what_was_written_is_read(tmp_path):
    write_id_map(str(tmp_path / "x"), [TABLE])
    assert read_id_map(str(tmp_path / "x"), 50, "") == TABLE
    assert all(read(data) == TABLE for data in GOOD)


@fuzz(40)
@hypothesis.given(st.sampled_from(GOOD).flatmap(mutated))
def test_damaged_maps(data):
    table = read(data)
    assert table is None or table.schema.equals(TABLE.schema)


@fuzz(10)
@hypothesis.given(mutated(GOOD[0], most=1))
def test_a_damaged_map_is_not_another_one(data):
    table = read(data)
    assert table is None or table.equals(TABLE)


nested = pa.array([[["a"] * 3]] * 50)
OTHERS = {
    "nested": pa.table({"id": nested, "split": nested, "name": nested}),
    "numbers": pa.table({"id": list(range(50)), "split": [0] * 50, "name": [0] * 50}),
    "other names": TABLE.rename_columns(["a", "b", "c", "d"]),
    "no rows": TABLE.slice(0, 0),
    "millions of rows": pa.table({name: pa.array(["a"] * 3_000_000) for name in ("id", "split", "name")}),
    "no values": pa.table({name: pa.array([None] * 50, pa.string()) for name in ("id", "split", "name")}),
    "huge values": id_map(["a" * (1 << 20)] * 50, "train", ["b"] * 50),
}


@pytest.mark.parametrize("table", OTHERS.values(), ids=OTHERS)
def test_other_tables_are_refused(tmp_path: Path, table: pa.Table):
    path = tmp_path / "x.parquet"
    path.write_bytes(written(table, use_dictionary=["split"]))
    with pytest.raises(DataError, match="write it again"):
        read_id_map(str(path), 50, "write it again")


RAW = dataclasses.replace(FORMAT, file_format="parquet")
PNG = RecordFormat(None, "png", 3, file_format="parquet")
SHARDS = [(fmt, records.encode(some(6), fmt, ("cat", "dog"))) for fmt in (RAW, PNG)]


@fuzz(30)
@hypothesis.given(
    st.sampled_from(SHARDS).flatmap(lambda shard: st.tuples(st.just(shard[0]), mutated(shard[1])))
)
def test_damaged_shards(shard):
    fmt, data = shard
    for batch in trial(lambda: read_records(data, fmt, ignore)) or []:
        assert batch.images.dtype == np.uint8
        assert len(batch.ids) == len(batch.images) == len(batch.labels)


@fuzz(30)
@hypothesis.given(st.sampled_from([data for _, data in SHARDS]).flatmap(mutated))
def test_damaged_sources(data):
    def read_all() -> None:
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(data)
            file.flush()
            source = ParquetSource(file.name, ReadOptions())
            for split, size in source.info.splits.items():
                for batch in source.slice(split, np.arange(min(size, 1000))).batches(4, ignore):
                    assert ((batch.labels >= 0) & (batch.labels < len(source.info.class_names))).all()

    trial(read_all)
