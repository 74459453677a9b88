"""Whole objects, brought into an open local file and compared with what they must hold."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import os

import google_crc32c

from lpe.pipeline.storage import objects
from lpe.transforms.errors import DamagedError, DataError

_PART = 1 << 23
_THREADS = 4
_TRIES = 3
_REMEDY = "restore it from a copy or write the dataset again"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An object, and what it must hold.

    Attributes:
      path: at gs:// or s3://.
      size: in bytes.
      checksum: SHA-256 (64 hex digits) or CRC32C (8) of its bytes; None where nobody recorded one.
      tag: the service's name of this state of the object, where there is no checksum.
    """

    path: str
    size: int
    checksum: str | None = None
    tag: str | None = None


def as_it_is(path: str) -> Wanted:
    """An object of which nothing is recorded, as the service has it now. Raises FileNotFoundError."""
    size, tag = objects.state(path)
    return Wanted(path, size, tag=tag)


def holds(descriptor: int, wanted: Wanted) -> bool:
    """Whether an open file has the size and the checksum that are wanted."""
    return os.fstat(descriptor).st_size == wanted.size and _checksum(descriptor, wanted) == wanted.checksum


def download(wanted: Wanted, descriptor: int) -> None:
    """Fetches an object into an empty file; what comes damaged is fetched again, up to three times in all.

    Args:
      wanted: which object.
      descriptor: an open file, written and read.

    Raises:
      FileNotFoundError: there is no such object.
      DamagedError: it is another than is wanted.
      DataError: it was replaced meanwhile, or the service cannot be used (see `objects.retrying`).
      OSError: the file cannot be written.
    """
    for _ in range(_TRIES):
        _check_state(wanted)
        whole = _fetch_parts(wanted, descriptor)
        found = _checksum(descriptor, wanted)
        if whole and found == wanted.checksum:
            if wanted.checksum is None:
                _check_state(wanted)  # the parts may be of two objects
            return
    if not whole:
        raise DamagedError(
            f"{wanted.path}: less than its {wanted.size} bytes came, {_TRIES} times; run the same command again"
        )
    raise DamagedError(
        f"{wanted.path}: checksum {found}, {wanted.checksum} was recorded, after {_TRIES} downloads: another file has "
        f"taken its place; {_REMEDY}"
    )


def _fetch_parts(wanted: Wanted, descriptor: int) -> bool:
    """Fetches an object, a few parts at a time; whether all of it came."""
    whole = True
    started: collections.deque[concurrent.futures.Future[bool]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for offset in range(0, wanted.size, _PART):
            if len(started) == _THREADS:
                whole &= started.popleft().result()
            started.append(pool.submit(_fetch_part, wanted, offset, descriptor))
        for part in started:
            whole &= part.result()
    return whole


def _check_state(wanted: Wanted) -> None:
    """Raises DataError if the object has another size than is wanted, or has been replaced."""
    size, tag = objects.state(wanted.path)
    if size != wanted.size:
        raise DamagedError(
            f"{wanted.path}: {size} bytes, {wanted.size} were recorded: another file has taken its place; {_REMEDY}"
        )
    if wanted.tag not in (None, tag):
        raise DataError(f"{wanted.path}: was replaced while it was read; run the same command again")


def _fetch_part(wanted: Wanted, offset: int, descriptor: int) -> bool:
    """Brings a part of an object to its place in a file; whether all of it came."""
    size = min(_PART, wanted.size - offset)
    data = memoryview(objects.read_range(wanted.path, offset, size))
    whole = len(data) == size
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
    return whole


def _checksum(descriptor: int, wanted: Wanted) -> str | None:
    """The checksum of an open file's bytes, of the kind that is wanted."""
    if wanted.checksum is None:
        return None
    sha256, crc, offset = hashlib.sha256() if len(wanted.checksum) == 64 else None, 0, 0
    while piece := os.pread(descriptor, _PART, offset):
        offset += len(piece)
        if sha256 is not None:
            sha256.update(piece)
        else:
            crc = google_crc32c.extend(crc, piece)
    return sha256.hexdigest() if sha256 is not None else f"{crc:08x}"
