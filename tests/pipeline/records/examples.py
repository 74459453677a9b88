"""Batches of random examples, their bytes, and reading them back."""

from __future__ import annotations

import io

import numpy as np

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord, fail
from lpe.transforms.batch import ImageBatch

SHAPE = (5, 4, 3)
FORMAT = RecordFormat(SHAPE)
FAIL = fail("restore it")


def some(count: int, classes: int = 10, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> ImageBatch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return ImageBatch([f"train-{i:07d}" for i in range(count)], images, rng.integers(0, classes, count))


def read(
    data: bytes,
    fmt: RecordFormat = FORMAT,
    on_bad_record: OnBadRecord = FAIL,
    batch_size: int = 1024,
) -> list[ImageBatch]:
    return list(
        records.decode(
            io.BytesIO(data), fmt, where="x.tfrecord", on_bad_record=on_bad_record, batch_size=batch_size
        )
    )


def joined(batches: list[ImageBatch]) -> ImageBatch:
    return ImageBatch(
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )


def as_set(batch: ImageBatch) -> set[tuple[str, bytes, int]]:
    return {
        (name, image.tobytes(), int(label))
        for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True)
    }


def assert_same(ours: ImageBatch, theirs: ImageBatch) -> None:
    assert ours.ids == theirs.ids
    assert np.array_equal(ours.images, theirs.images)
    assert np.array_equal(ours.labels, theirs.labels)


def ignore(record: BadRecord) -> None:
    """An `OnBadRecord` that leaves the record out."""


def framed(payload: bytes) -> bytes:
    """One record of a TFRecord file, written field by field."""
    length = len(payload).to_bytes(8, "little")
    first, second = (tfrecord.masked_crc32c(part).to_bytes(4, "little") for part in (length, payload))
    return length + first + payload + second
