"""Members of a .zip: their names, and where their bytes are.

Read here and not by `zipfile`, which takes the whole directory into memory, with an object of its own for each member,
before anybody can ask how many there are.
"""

from __future__ import annotations

import array
import dataclasses
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from lpe.pipeline.sources.limits import MOST_DIRECTORY_BYTES, MOST_NAME_BYTES, Limits
from lpe.pipeline.sources.passed_over import LINKS, SPECIAL, PassedOver
from lpe.pipeline.sources.ranges import GET_AGAIN, PIECE
from lpe.transforms.errors import DataError

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_MOST_COMMENT = (1 << 16) - 1
_HUGE = (1 << 32) - 1  # stands for a number that is in the ZIP64 field
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_UNIX = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """The regular files of an archive, in the order in which their bytes lie in it.

    Attributes:
      names: theirs.
      headers: where each begins, int64 [N].
      packed: bytes as they are stored, int64 [N].
      sizes: bytes once unpacked, int64 [N].
      checksums: CRC-32 of them, int64 [N].
      deflated: which are compressed, bool [N].
      end: where the last one must have ended.
      directories: the names of directories.
    """

    names: list[str]
    headers: np.ndarray
    packed: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray
    deflated: np.ndarray
    end: int
    directories: list[str]


class _Entry(NamedTuple):
    name: str
    mode: int
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    header: int


def members(file: BinaryIO, limits: Limits, passed_over: PassedOver) -> Members:
    """What an archive's directory says.

    Args:
      file: the archive.
      limits: on the number of members and on what they unpack to.
      passed_over: counts links and special files.

    Raises:
      DataError: it is damaged, encrypted or beyond the limits; the message does not say where.
    """
    file_size = file.seek(0, os.SEEK_END)
    start, size = _directory(file, file_size)
    names: list[str] = []
    directories: list[str] = []
    columns = [array.array("q") for _ in range(5)]
    for found, entry in enumerate(_entries(file, start, size), start=1):
        if found > limits.members:
            raise DataError(
                f"more than {limits.members} files; raise that with lpe ingest --max-members if you trust it"
            )
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFLNK:
            passed_over.add(LINKS, entry.name)
        elif entry.name.endswith("/"):
            directories.append(entry.name.rstrip("/"))
        elif kind not in (0, stat.S_IFREG):
            passed_over.add(SPECIAL, entry.name)
        else:
            _check_readable(entry)
            names.append(entry.name)
            row = (entry.header, entry.packed, entry.size, entry.checksum, entry.method)
            for column, number in zip(columns, row, strict=True):
                column.append(number)
    headers, packed, sizes, checksums, methods = (np.array(column, np.int64) for column in columns)
    total, most = int(sizes.sum(dtype=np.float64)), limits.unpacked(file_size)
    if total > most:
        raise DataError(
            f"unpacks to more than {most} bytes; raise that with lpe ingest --max-unpacked-bytes if you trust it"
        )
    order = np.argsort(headers, kind="stable")
    return Members(
        names=[names[row] for row in order.tolist()],
        headers=headers[order],
        packed=packed[order],
        sizes=sizes[order],
        checksums=checksums[order],
        deflated=methods[order] == _DEFLATED,
        end=start,
        directories=directories,
    )


def data_offsets(file: BinaryIO, found: Members) -> Iterator[int]:
    """Where the bytes of each member begin, as its own header says.

    Raises:
      DataError: a header is damaged, or members lie over one another, as they do in archives that unpack without end.
    """
    end = 0
    for name, header, packed in zip(found.names, found.headers.tolist(), found.packed.tolist(), strict=True):
        if header < end:
            raise _damaged(f"the member {name!a} lies over another one")
        if header > found.end:  # no file system lets one go as far as a header may say
            raise _damaged(f"the member {name!a} is cut off")
        file.seek(header)
        block = file.read(_HEADER.size)
        if len(block) < _HEADER.size or not block.startswith(b"PK\3\4"):
            raise _damaged(f"the header of the member {name!a} is garbled")
        offset = header + _HEADER.size + sum(_HEADER.unpack(block)[-2:])
        end = offset + packed
        if end > found.end:
            raise _damaged(f"the member {name!a} is cut off")
        yield offset


def unpack(file: BinaryIO, found: Members, out: BinaryIO) -> list[int]:
    """Writes the members one after the other, and gives where each begins. Raises DataError as `data_offsets`."""
    offsets = []
    written = 0
    for i, offset in enumerate(data_offsets(file, found)):
        offsets.append(written)
        file.seek(offset)
        name, size = found.names[i], int(found.sizes[i])
        checksum = length = 0
        for piece in _unpacked(file, int(found.packed[i]), bool(found.deflated[i]), name):
            length += len(piece)
            if length > size:
                break
            checksum = zlib.crc32(piece, checksum)
            out.write(piece)
        if length != size or checksum != int(found.checksums[i]):
            raise _damaged(f"the checksum or size of the member {name!a} is wrong")
        written += size
    return offsets


def _unpacked(file: BinaryIO, packed: int, deflated: bool, name: str) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else None
    while packed:
        data = file.read(min(packed, PIECE))
        if not data:
            raise _damaged(f"the member {name!a} is cut off")
        packed -= len(data)
        if inflate is None:
            yield data
            continue
        try:
            while data:
                yield inflate.decompress(data, PIECE)
                data = inflate.unconsumed_tail
        except zlib.error as error:
            raise _damaged(f"the member {name!a}: {error}") from error
    if inflate is not None:
        yield inflate.flush()


def _check_readable(entry: _Entry) -> None:
    if entry.flags & _ENCRYPTED:
        raise DataError(f"the member {entry.name!a} is encrypted; unpack it with its password first")
    if entry.method not in (_STORED, _DEFLATED):
        raise DataError(
            f"the member {entry.name!a} is compressed by a method that is not read ({entry.method}); pack it anew, "
            "stored or deflated"
        )
    if entry.method == _STORED and entry.packed != entry.size:
        raise _damaged(f"the size of the member {entry.name!a} is wrong")


def _directory(file: BinaryIO, file_size: int) -> tuple[int, int]:
    """Where the directory of an archive begins, and its bytes."""
    last = min(file_size, _END.size + _MOST_COMMENT)
    file.seek(file_size - last)
    tail = file.read(last)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if len(tail) >= at + _END.size and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        raise _damaged("no end mark")
    _, disk, first_disk, _, _, size, start, _ = _END.unpack_from(tail, at)
    end = file_size - last + at
    if end >= _LOCATOR_64.size:
        file.seek(end - _LOCATOR_64.size)
        mark, _, end_64, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
        if mark == b"PK\6\7":
            file.seek(min(end_64, file_size))
            block = file.read(_END_64.size)
            if len(block) < _END_64.size or not block.startswith(b"PK\6\6"):
                raise _damaged("its end mark is garbled")
            _, _, _, _, disk, first_disk, _, _, size, start = _END_64.unpack(block)
            end = end_64
    if disk or first_disk:
        raise DataError("one of several parts of an archive; join them first")
    if start + size != end:
        raise _damaged("its directory is not where it should be")
    if size > MOST_DIRECTORY_BYTES:
        raise DataError(
            f"a directory of {size} bytes, more than {MOST_DIRECTORY_BYTES}; pack it as several archives"
        )
    return start, size


def _entries(file: BinaryIO, start: int, size: int) -> Iterator[_Entry]:
    file.seek(start)
    while size:
        block = file.read(_ENTRY.size)
        if len(block) < _ENTRY.size or not block.startswith(b"PK\1\2"):
            raise _damaged("its directory is garbled")
        fields = _ENTRY.unpack(block)
        _, made_by, _, flags, method, _, _, checksum, packed, unpacked, name, extra, comment = fields[:13]
        rest = name + extra + comment
        size -= _ENTRY.size + rest
        if name > MOST_NAME_BYTES:
            raise _damaged(f"a name of {name} bytes")
        content = file.read(rest)
        if size < 0 or len(content) < rest:
            raise _damaged("its directory is cut off")
        unpacked, packed, header = _numbers((unpacked, packed, fields[-1]), content[name : name + extra])
        mode = fields[-2] >> 16 if made_by >> 8 == _UNIX else 0
        yield _Entry(_text(content[:name]), mode, flags, method, checksum, packed, unpacked, header)


def _numbers(stored: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """The numbers of an entry, those that do not fit there from its ZIP64 field."""
    if _HUGE not in stored:
        return stored
    numbers: list[int] = []
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            field = extra[4 : 4 + length]
            numbers = [int.from_bytes(field[i : i + 8], "little") for i in range(0, len(field) - 7, 8)]
        extra = extra[4 + length :]
    left = iter(numbers)
    size, packed, header = (next(left, -1) if number == _HUGE else number for number in stored)
    if not all(0 <= number < 1 << 62 for number in (size, packed, header)):
        raise _damaged("a number in its directory is garbled")
    return size, packed, header


def _text(name: bytes) -> str:
    try:
        return name.decode()  # as most tools write it today, whether they say so or not
    except UnicodeDecodeError:
        return name.decode("cp437")


def _damaged(reason: str) -> DataError:
    return DataError(f"damaged or cut off ({reason}); {GET_AGAIN}")
