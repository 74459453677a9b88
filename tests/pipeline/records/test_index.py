"""The index of a file's records: every place as `decode` finds it, or none."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy as np
import pytest

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.records.index import index
from lpe.transforms.batch import ImageBatch

SHAPE = (3, 4, 3)
RAW = RecordFormat(SHAPE)
RANDOM = np.random.default_rng(0)


def batch(ids: list[str], labels: Any) -> ImageBatch:
    images = RANDOM.integers(0, 256, (len(ids), *SHAPE), np.uint8)
    return ImageBatch(ids, images, np.asarray(labels, np.int64))


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ([f"a-{i:03d}" for i in range(90)], np.arange(90) % 10),
        ([f"a-{i:03d}" for i in range(200)], RANDOM.integers(0, 20_000, 200)),
        (["ä", "b", "日本", "dd"], [0, 1, 2, 300]),
        (["one"], [5]),
    ],
    ids=["all alike", "of many lengths", "not ASCII", "one"],
)
@pytest.mark.parametrize("fmt", [RAW, RecordFormat(SHAPE, id_key=None)], ids=["ids", "no ids"])
def test_it_finds_what_decoding_finds(ids, labels, fmt):
    written = batch(ids, labels)
    data = records.encode(written, fmt)
    found = index(array(data), fmt)
    assert found is not None
    assert len(found) == len(ids)
    decoded = list(records.decode(io.BytesIO(data), fmt, where="x/file", on_bad_record=fail("")))
    rows = RANDOM.permutation(len(ids))
    assert found.id_texts(array(data), rows, "x/file") == [
        [name for part in decoded for name in part.ids][row] for row in rows
    ]
    assert (found.labels == written.labels).all()
    size = written.images[0].size
    for image, place in zip(written.images, found.images.tolist(), strict=True):
        assert data[place : place + size] == image.tobytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        gzip.compress,
        lambda data: data[:3] + b"\x01" + data[4:],
        lambda data: data + b"more",
        lambda data: data.replace(b"label", b"libel", 1),
        lambda data: b"",
    ],
    ids=["cut off", "zipped", "length", "more", "another key", "empty"],
)
def test_there_is_none_of_what_is_not_plain(damage):
    data = damage(records.encode(batch([f"a-{i:03d}" for i in range(9)], np.arange(9)), RAW))
    assert index(array(data), RAW) is None


def test_there_is_none_where_records_of_one_length_are_laid_out_in_two_ways():
    data = records.encode(batch(["a", "bb"], [200, 3]), RAW)
    assert index(array(data), RAW) is None


def test_there_is_none_of_encoded_images():
    fmt = RecordFormat(None, "png")
    data = records.encode(batch(["a", "b"], [0, 1]), fmt)
    assert index(array(data), fmt) is None
