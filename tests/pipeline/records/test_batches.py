"""Batches as records: equal to TensorFlow's bytes, and never fooled by damage."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.records.bad_records import BadRecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from tests.pipeline.records.examples import (
    FORMAT,
    SHAPE,
    as_set,
    assert_same,
    framed,
    ignore,
    joined,
    read,
    some,
)


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def by_tensorflow(tf, path: Path, batch: ImageBatch, extra: bool = False) -> bytes:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True):
            example = tf.train.Example()
            feature = example.features.feature
            feature["id"].bytes_list.value.append(name.encode())
            feature["image"].bytes_list.value.append(image.tobytes())
            feature["label"].int64_list.value.append(int(label))
            if extra:
                feature["weights"].float_list.value.extend([0.5] * (int(label) + 1))
            writer.write(example.SerializeToString(deterministic=True))
    return path.read_bytes()


@pytest.mark.parametrize("classes", [10, 1000, 2**62])
def test_bytes_equal_tensorflows(tf, tmp_path, classes):
    batch = some(300, classes)
    assert records.encode(batch, FORMAT) == by_tensorflow(tf, tmp_path / "a", batch)


def test_bytes_equal_tensorflows_for_ids_of_many_lengths_and_negative_labels(tf, tmp_path):
    batch = ImageBatch(["a", "bücher/ä.png", "", "x" * 300], some(4).images, np.array([-1, 0, 127, 128]))
    data = records.encode(batch, FORMAT)
    assert data == by_tensorflow(tf, tmp_path / "a", batch)
    assert_same(joined(read(data)), batch)


def test_tensorflow_reads_what_we_write(tf, tmp_path):
    batch = some(50)
    path = tmp_path / "a.tfrecord"
    path.write_bytes(records.encode(batch, FORMAT))
    wanted = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    parsed = [tf.io.parse_single_example(raw, wanted) for raw in tf.data.TFRecordDataset(str(path))]
    assert [int(example["label"]) for example in parsed] == batch.labels.tolist()
    assert b"".join(example["image"].numpy() for example in parsed) == batch.images.tobytes()


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_we_read_what_tensorflow_writes(tf, tmp_path, extra, compressed):
    """Other features beside ours, gzip: the general path gives the same as the fast one."""
    batch = some(200)
    data = by_tensorflow(tf, tmp_path / "a", batch, extra)
    assert_same(joined(read(gzip.compress(data) if compressed else data)), batch)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=20), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=40),
    st.integers(1, 50),
)
def test_whatever_is_written_is_read_back(pairs, batch_size):
    images = some(len(pairs)).images
    batch = ImageBatch([name for name, _ in pairs], images, np.array([label for _, label in pairs], np.int64))
    batches = read(records.encode(batch, FORMAT), batch_size=batch_size)
    assert all(len(part) <= batch_size for part in batches)
    assert_same(joined(batches), batch)


def test_png_keeps_shapes_and_pixels():
    fmt = RecordFormat(None, "png")
    small, large = some(3, shape=(4, 6, 3)), some(2, shape=(9, 5, 3))
    batches = read(records.encode(small, fmt) + records.encode(large, fmt), fmt)
    assert_same(batches[0], small)
    assert_same(batches[1], large)
    grey = RecordFormat(None, "png", channels=1)
    one = some(2, shape=(4, 6, 1))
    assert_same(joined(read(records.encode(one, grey), grey)), one)


def test_a_damaged_record_can_be_skipped_and_the_rest_is_right():
    batch = some(10)
    data = bytearray(records.encode(batch, FORMAT))
    data[len(data) // 10 * 4 + 50] ^= 1
    notes: list[BadRecord] = []
    got = joined(read(bytes(data), on_bad_record=notes.append))
    assert got.ids == batch.ids[:4] + batch.ids[5:]
    assert notes == [BadRecord("x.tfrecord: record 4", "its checksum does not match")]


def test_records_that_are_no_such_examples_are_named():
    good = records.encode(some(1), FORMAT)
    other = records.encode(some(1, shape=(5, 4, 1)), RecordFormat((5, 4, 1)))
    nameless = records.encode(some(1), RecordFormat(SHAPE, id_key=None))
    notes: list[str] = []
    data = good + framed(b"\xff\xff nonsense") + other + framed(b"") + nameless + good
    got = read(data, on_bad_record=lambda bad: notes.append(f"{bad.where}: {bad.reason}"))
    assert sum(len(batch) for batch in got) == 2
    assert len(notes) == 4
    assert "record 1: it is not a tf.train.Example" in notes[0]
    assert "20 bytes" in notes[1]
    assert "'id'" in notes[3]


def test_fuzzed_bytes_never_crash_and_nothing_damaged_is_accepted():
    """Random edits of a valid file: either the error is ours, or all that comes back is as written."""
    rng = random.Random(0)
    batch = some(8, classes=1000)
    data = records.encode(batch, FORMAT)
    written = as_set(batch)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            kind = rng.randrange(3)
            at = rng.randrange(len(damaged))
            if kind == 0:
                damaged[at] = rng.randrange(256)
            elif kind == 1:
                del damaged[at : at + rng.randint(1, 40)]
            else:
                damaged[at:at] = rng.randbytes(rng.randint(1, 40))
        got = []
        try:
            got = read(bytes(damaged), on_bad_record=ignore)
        except DataError:
            continue
        for part in got:
            assert as_set(part) <= written


def test_records_without_ids_are_numbered():
    fmt = RecordFormat(SHAPE, id_key=None)
    batch = some(3)
    assert joined(read(records.encode(batch, fmt), fmt)).ids == [f"x.tfrecord-{i:07d}" for i in range(3)]


def test_raw_images_need_a_shape():
    with pytest.raises(ValueError, match="image_shape"):
        RecordFormat(None)
