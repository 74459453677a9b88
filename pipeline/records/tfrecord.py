"""TFRecord framing and checksums, on runs of records of one length.

A frame is: length (uint64 LE), masked CRC32C of those 8 bytes, the data, masked CRC32C of the data.
Framed records of one length are an array, uint8 [N, L + 16].
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import google_crc32c
import numpy as np

from lpe.transforms.errors import DataError

HEADER = 12
"""Bytes before the data of a record."""
FOOTER = 4
"""Bytes after it."""
_CHUNK = 1 << 20
_PROBE = 32
LARGEST_RECORD = 1 << 30
"""Bytes of data beyond which a length is taken for damage, where no less is known."""
_REPLACE = "restore the file from a copy or write the dataset again"


def masked_crc32c(data: bytes) -> int:
    """TFRecord's checksum of `data`: CRC32C, rotated right by 15 bits, plus a constant."""
    return int(_mask(np.array([google_crc32c.value(data)], np.uint32))[0])


def extend_crc32c(crc: int, data: bytes | np.ndarray) -> int:
    """CRC32C of some bytes followed by `data`, where `crc` is that of the former (0 for none)."""
    return int(google_crc32c.extend(crc, data))


def _mask(crc: np.ndarray) -> np.ndarray:
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def header(length: int) -> bytes:
    """The 12 bytes before data of `length` bytes."""
    size = length.to_bytes(8, "little")
    return size + masked_crc32c(size).to_bytes(4, "little")


def checksums(rows: np.ndarray) -> np.ndarray:
    """Masked CRC32C (uint32 [N]) of the data of framed records (uint8 [N, L + 16], C-contiguous)."""
    value = google_crc32c.value
    return _mask(np.array([value(data) for data in rows[:, HEADER:-FOOTER]], np.uint32))


def frames(
    file: BinaryIO, where: str, largest: int = LARGEST_RECORD
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads a TFRecord file as runs of records of one length.

    Memory is bounded by a few MB and one record.

    Args:
      file: the open file, at its start; a gzip-compressed one is recognised.
      where: the file's name, for errors.
      largest: bytes that the data of a record may have.

    Yields:
      Framed records, uint8 [N, L + 16], read-only, and which data checksums hold, bool [N].

    Raises:
      DataError: the framing is damaged, so that no later record can be found.
    """
    stream = _decompressed(file)
    buffer = b""
    offset = 0
    index = 0
    while True:
        if len(buffer) - offset < HEADER:
            buffer, offset = _more(stream, buffer, offset, HEADER, where), 0
            if not buffer:
                return
        if len(buffer) < HEADER:
            raise DataError(f"{where}: record {index} is cut off; {_REPLACE}")
        start = buffer[offset : offset + HEADER]
        length = int.from_bytes(start[:8], "little")
        if start != header(length):
            raise DataError(f"{where}: the length of record {index} is damaged; {_REPLACE}")
        if length > largest:
            raise DataError(
                f"{where}: record {index} claims {length} bytes, at most {largest} are read; {_REPLACE}"
            )
        stride = length + (HEADER + FOOTER)
        if len(buffer) - offset < stride:
            buffer, offset = _more(stream, buffer, offset, stride, where), 0
            if len(buffer) < stride:
                raise DataError(f"{where}: record {index} is cut off; {_REPLACE}")
        count = (len(buffer) - offset) // stride
        rows = np.frombuffer(buffer, np.uint8, count * stride, offset).reshape(count, stride)
        rows = rows[: alike(rows)]
        stored = np.ascontiguousarray(rows[:, -4:]).view("<u4")[:, 0]
        yield rows, checksums(rows) == stored
        offset += rows.size
        index += len(rows)


def alike(rows: np.ndarray) -> int:
    """How many rows from the first on have its header."""
    # Where lengths vary, runs are short: looking further and further ahead costs no more than the run is long.
    checked, ahead = 0, _PROBE
    while checked < len(rows):
        same = (rows[checked:ahead, :HEADER] == rows[0, :HEADER]).all(axis=1)
        if not same.all():
            return checked + int(same.argmin())
        checked, ahead = checked + len(same), 4 * ahead
    return checked


def _more(stream: BinaryIO, buffer: bytes, offset: int, needed: int, where: str) -> bytes:
    """The unread rest of `buffer` and at least `needed` bytes in all, or everything to the end."""
    parts = [buffer[offset:]]
    size = len(parts[0])
    while size < max(needed, _CHUNK):
        try:
            piece = stream.read(min(max(needed, _CHUNK) - size, _CHUNK))  # a length may lie
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{where}: damaged gzip stream ({error}); {_REPLACE}") from error
        if not piece:
            break
        parts.append(piece)
        size += len(piece)
    return b"".join(parts)


def _decompressed(file: BinaryIO) -> BinaryIO:
    """`file`, unpacked if it is gzip: its first bytes are then no valid frame header."""
    start = file.read(HEADER)
    whole = cast(BinaryIO, _Prefixed(start, file))
    framed = len(start) == HEADER and start == header(int.from_bytes(start[:8], "little"))
    if start[:2] == b"\x1f\x8b" and not framed:
        return cast(BinaryIO, gzip.GzipFile(fileobj=whole))
    return whole


class _Prefixed:
    """A stream whose first bytes were already taken, and are given back."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._start:
            piece, self._start = self._start[:size], self._start[size:]
            return piece
        return self._rest.read(size)
