"""The end of a Parquet file, where it describes itself: read within limits, since anybody may have written it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lpe.pipeline.records.parquet_footer import MOST_ITEMS, Footer, parse
from lpe.transforms.errors import DataError, one_line

_MOST_BYTES = 256 << 20
"""Bytes of a description; a million class names take a fifth of that."""
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_END = 8  # bytes at the end, which say how long the description is
_PIECE = 16 << 20


def read_end(file: BinaryIO, where: str, remedy: str) -> bytes:
    """A file's description with the bytes after it; leaves the file at its start.

    Args:
      file: the open file.
      where, remedy: the file, and what to do about damage, for messages.

    Raises:
      DataError: it is no Parquet file, or is damaged there.
    """
    size = file.seek(0, os.SEEK_END)
    if size < _END + len(_MAGIC):
        raise DataError(f"{where}: no Parquet file, or cut off ({size} bytes); {remedy}")
    file.seek(size - _END)
    end = exactly(file, _END, where, remedy)
    length = int.from_bytes(end[:4], "little")
    if end[4:] == _ENCRYPTED:
        raise DataError(f"{where}: encrypted by Parquet's own means, which is not read; decrypt it first")
    if end[4:] != _MAGIC or length > min(size - _END - len(_MAGIC), _MOST_BYTES):
        raise DataError(f"{where}: no Parquet file, or damaged at its end; {remedy}")
    file.seek(size - _END - length)
    described = exactly(file, length, where, remedy)
    file.seek(0)
    return described + end


def arrow_file(source: Any, end: bytes, **options: Any) -> Any:
    """Arrow's view of a file. Call it within `damaged`, and ask it for nothing of its metadata: see `parquet_footer`.

    Args:
      source: a Python file, which is read when columns are.
      end: as `read_end` gives it.
      options: Arrow's.
    """
    described = pq.ParquetFile(pa.BufferReader(_MAGIC + end), thrift_container_size_limit=MOST_ITEMS).metadata
    return pq.ParquetFile(pa.PythonFile(source, "r"), metadata=described, pre_buffer=False, **options)


def footer_of(end: bytes) -> Footer:
    """What a file's end says of its row groups. Raises ValueError if it is damaged."""
    return parse(end[:-_END])


@contextlib.contextmanager
def damaged(where: str, remedy: str) -> Iterator[None]:
    """What Arrow raises for a file that is not Parquet, or not sound, becomes a DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, TypeError) as error:
        raise DataError(f"{where}: damaged Parquet ({one_line(error, 150)}); {remedy}") from error


def exactly(file: BinaryIO, size: int, where: str, remedy: str) -> bytes:
    """So many bytes of a file. Raises DataError if there are fewer."""
    parts = []
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            raise DataError(f"{where}: cut off while it was read; {remedy}")
        parts.append(piece)
        size -= len(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)
