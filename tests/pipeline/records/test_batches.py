"""TFRecord and Example on batches: equal to TensorFlow's bytes, and never fooled by damage."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

SHAPE = (5, 4, 3)
FORMAT = RecordFormat(SHAPE)


def some(count: int, classes: int = 10, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> ImageBatch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return ImageBatch([f"train-{i:07d}" for i in range(count)], images, rng.integers(0, classes, count))


def raising(where: str, reason: str) -> None:
    raise DataError(f"{where}: {reason}")


def read(
    data: bytes, fmt: RecordFormat = FORMAT, on_damage=raising, batch_size: int = 1024
) -> list[ImageBatch]:
    return list(
        records.decode(io.BytesIO(data), fmt, where="x.tfrecord", on_damage=on_damage, batch_size=batch_size)
    )


def joined(batches: list[ImageBatch]) -> ImageBatch:
    return ImageBatch(
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )


def examples(batch: ImageBatch) -> set[tuple[str, bytes, int]]:
    return {
        (name, image.tobytes(), int(label))
        for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True)
    }


def assert_same(ours: ImageBatch, theirs: ImageBatch) -> None:
    assert ours.ids == theirs.ids
    assert np.array_equal(ours.images, theirs.images)
    assert np.array_equal(ours.labels, theirs.labels)


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


def test_memory_is_bounded_by_a_few_megabytes():
    """A shard of 200 MB is read through a file that counts how much is taken at once."""

    class Endless(io.RawIOBase):
        def __init__(self, record: bytes, times: int) -> None:
            self._record, self._left, self.largest = record, len(record) * times, 0

        def read(self, size: int = -1) -> bytes:
            assert size > 0
            self.largest = max(self.largest, size)
            size = min(size, self._left)
            at = -self._left % len(self._record)
            self._left -= size
            return (self._record * (size // len(self._record) + 2))[at : at + size]

    shape = (64, 64, 3)
    file = Endless(records.encode(some(1, shape=shape), RecordFormat(shape)), 16_000)
    count = sum(
        len(batch) for batch in records.decode(file, RecordFormat(shape), where="x", on_damage=raising)
    )
    assert count == 16_000
    assert file.largest <= 1 << 23


@pytest.mark.parametrize("size", [1, 11, 12, 13, 60, 100, 191])
def test_a_cut_off_file_is_refused(size):
    data = records.encode(some(3), FORMAT)
    record = len(data) // 3
    with pytest.raises(DataError, match=r"x.tfrecord: record 1 is cut off.*restore"):
        read(data[: record + min(size, record - 1)])
    with pytest.raises(DataError, match="damaged gzip"):
        read(gzip.compress(data)[:-size])


def test_every_flipped_bit_is_found():
    data = records.encode(some(3), FORMAT)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(DataError, match=r"x.tfrecord"):
            read(bytes(damaged))


def test_a_damaged_record_can_be_skipped_and_the_rest_is_right():
    batch = some(10)
    data = bytearray(records.encode(batch, FORMAT))
    data[len(data) // 10 * 4 + 50] ^= 1
    notes: list[tuple[str, str]] = []
    got = joined(read(bytes(data), on_damage=lambda where, reason: notes.append((where, reason))))
    assert got.ids == batch.ids[:4] + batch.ids[5:]
    assert notes == [("x.tfrecord: record 4", "its checksum does not match")]


def test_records_that_are_no_such_examples_are_named():
    def framed(payload: bytes) -> bytes:
        header = len(payload).to_bytes(8, "little")
        ends = [tfrecord.masked_crc32c(part).to_bytes(4, "little") for part in (header, payload)]
        return header + ends[0] + payload + ends[1]

    good = records.encode(some(1), FORMAT)
    other = records.encode(some(1, shape=(5, 4, 1)), RecordFormat((5, 4, 1)))
    nameless = records.encode(some(1), RecordFormat(SHAPE, id_key=None))
    notes: list[str] = []
    data = good + framed(b"\xff\xff nonsense") + other + framed(b"") + nameless + good
    got = read(data, on_damage=lambda where, reason: notes.append(f"{where}: {reason}"))
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
    written = {
        (name, image.tobytes(), int(label))
        for name, image, label in zip(batch.ids, batch.images, batch.labels, strict=True)
    }
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
            got = read(bytes(damaged), on_damage=lambda where, reason: None)
        except DataError:
            continue
        for part in got:
            assert examples(part) <= written


def test_random_payloads_in_valid_frames_never_crash():
    rng = random.Random(1)
    example = records.encode(some(1), FORMAT)[12:-4]
    for _ in range(1500):
        payload = bytearray(example)
        for _ in range(rng.randint(1, 6)):
            payload[rng.randrange(min(60, len(payload)))] = rng.randrange(256)
        header = len(payload).to_bytes(8, "little")
        data = header + tfrecord.masked_crc32c(header).to_bytes(4, "little") + payload
        data += tfrecord.masked_crc32c(bytes(payload)).to_bytes(4, "little")
        for batch in read(data * 3, on_damage=lambda where, reason: None):
            assert batch.images.shape[1:] == SHAPE


def test_records_without_ids_are_numbered():
    fmt = RecordFormat(SHAPE, id_key=None)
    batch = some(3)
    assert joined(read(records.encode(batch, fmt), fmt)).ids == [f"x.tfrecord-{i:07d}" for i in range(3)]
