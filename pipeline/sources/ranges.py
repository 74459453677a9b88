"""Byte ranges of files, local or at gs:// and s3://, that any process can read."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import zlib
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import BinaryIO

from lpe.pipeline import storage
from lpe.pipeline.storage import objects
from lpe.transforms.errors import DataError

PIECE = 1 << 20
"""Bytes that are read at once where a file is read from start to end."""
GET_AGAIN = "get it again and compare its checksum with the publisher's"
"""What to do about a damaged archive."""
_THREADS = 16  # an object store answers many requests at once, and each one late

Stamp = tuple[int, int]
"""What tells a file from others that had its path: inode, and time of change in nanoseconds."""


def stamp(descriptor: int) -> Stamp:
    """The stamp of an open file."""
    status = os.fstat(descriptor)
    return status.st_ino, status.st_mtime_ns


@dataclasses.dataclass(frozen=True)
class ByteRange:
    """A file, or a part of one: bytes offset … offset + size − 1 of the file at `path`.

    That file has `stamp` and those bytes the CRC-32 `checksum`, where these are given.
    """

    path: str
    offset: int
    size: int
    stamp: Stamp | None = None
    checksum: int | None = None

    def read(self) -> bytes:
        """Its bytes. Raises DataError if they are not there (any more)."""
        with RangeReader() as reader:
            return reader.read(self)


class RangeReader:
    """Reads byte ranges, on one thread; the file of the last one stays open, since an archive's lie in one file."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def read(self, where: ByteRange) -> bytes:
        """The bytes of a range. Raises DataError if they are not there (any more)."""
        try:
            data = (
                objects.read_range(where.path, where.offset, where.size)
                if storage.is_remote(where.path)
                else self._read_local(where)
            )
        except OSError as error:
            if where.stamp is not None:
                raise _gone() from error
            raise DataError(f"{where.path}: cannot be read ({error.strerror}); put it back") from error
        if len(data) != where.size:
            raise DataError(f"{where.path}: shorter than when it was opened; leave it alone and run again")
        if where.checksum is not None and zlib.crc32(data) != where.checksum:
            raise DataError(
                f"{where.path}: damaged (the checksum of the member at byte {where.offset} is wrong); {GET_AGAIN}"
            )
        return data

    def read_each(self, ranges: Iterable[ByteRange]) -> Iterator[bytes]:
        """The bytes of each range, in order; remote ones are asked for ahead. Raises DataError as `read`."""
        waiting: collections.deque[concurrent.futures.Future[bytes]] = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:  # starts no thread before it has work
            try:
                for where in ranges:
                    if not storage.is_remote(where.path):
                        yield self.read(where)
                        continue
                    waiting.append(pool.submit(self.read, where))
                    if len(waiting) > 2 * _THREADS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _read_local(self, where: ByteRange) -> bytes:
        if self._path != where.path or self._file is None:
            self.close()
            self._file = open(where.path, "rb")  # noqa: PTH123, SIM115  (once an image; closed by close)
            self._path = where.path
        if where.stamp is not None and where.stamp != stamp(self._file.fileno()):
            raise _gone()
        self._file.seek(where.offset)
        return self._file.read(where.size)

    def close(self) -> None:
        """Closes the file of the last range; reading opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _gone() -> DataError:
    return DataError(
        "the source's unpacked copy cannot be read, since the job that made it has ended; run the same command again"
    )
