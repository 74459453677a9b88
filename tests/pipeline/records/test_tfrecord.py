"""TFRecord framing: checksums, runs of records of one length, damage of every kind, bounded memory."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import fail
from lpe.transforms.errors import DataError
from tests.pipeline.records.examples import FORMAT, framed, read, some


def payloads(data: bytes) -> list[bytes]:
    """The data of each record of a file whose checksums hold."""
    found = []
    for rows, intact in tfrecord.frames(io.BytesIO(data), "x.tfrecord"):
        assert intact.all()
        found += [row[tfrecord.HEADER : -tfrecord.FOOTER].tobytes() for row in rows]
    return found


def test_checksums_are_crc32c_masked_as_tensorflow_does():
    """CRC32C of the nine digits is the published check value, E3069283."""
    assert tfrecord.extend_crc32c(0, b"123456789") == 0xE3069283
    crc = 0xE3069283
    assert tfrecord.masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_checksum_can_be_extended(first, second):
    assert tfrecord.extend_crc32c(tfrecord.extend_crc32c(0, first), second) == tfrecord.extend_crc32c(
        0, first + second
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=60), st.booleans())
def test_records_of_any_lengths_are_read_in_order(data, compressed):
    file = b"".join(map(framed, data))
    assert payloads(gzip.compress(file) if compressed else file) == data


def test_records_of_one_length_come_as_one_run():
    file = b"".join(framed(bytes([i]) * 7) for i in range(100)) + framed(b"longer than the others")
    runs = [rows.shape for rows, _ in tfrecord.frames(io.BytesIO(file), "x")]
    assert runs == [(100, 7 + 16), (1, 22 + 16)]


def test_checksums_of_a_run_are_those_of_its_records():
    run = np.frombuffer(b"".join(framed(bytes([i]) * 5) for i in range(9)), np.uint8).reshape(9, -1)
    assert tfrecord.checksums(run).tolist() == [tfrecord.masked_crc32c(bytes([i]) * 5) for i in range(9)]


def test_a_damaged_record_is_told_from_the_sound_ones():
    file = bytearray(b"".join(framed(bytes([i]) * 5) for i in range(4)))
    file[2 * 21 + tfrecord.HEADER] ^= 1
    ((_, intact),) = tfrecord.frames(io.BytesIO(bytes(file)), "x")
    assert intact.tolist() == [True, True, False, True]


def test_a_length_that_no_record_has_is_refused_though_its_checksum_holds():
    with pytest.raises(DataError, match=r"x: record 1 claims 1099511627776 bytes"):
        list(tfrecord.frames(io.BytesIO(framed(b"ab") + tfrecord.header(1 << 40)), "x"))


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
        len(batch) for batch in records.decode(file, RecordFormat(shape), where="x", on_bad_record=fail("no"))
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
