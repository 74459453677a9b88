"""Members of a .tar: their names, and where their bytes are.

Read here and not by `tarfile`, which takes headers of any size into memory, and grows without end over some of less
than a kilobyte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from lpe.pipeline.sources.limits import MOST_HEADER_BYTES, MOST_HEADERS, MOST_NAME_BYTES
from lpe.pipeline.sources.passed_over import HARD_LINKS, LINKS, SPECIAL, PassedOver
from lpe.pipeline.sources.ranges import GET_AGAIN, PIECE
from lpe.transforms.errors import DataError

_BLOCK = 512
_MOST = 10**18 - 1  # bytes: no file system has as many
_FILES = b"0\0" + b"7"  # regular, as old tools mark it, and contiguous, which is the same nowadays
_WITHOUT_DATA = b"123456"  # links, devices, directories, pipes
_PASSED_OVER = {b"1": HARD_LINKS, b"2": LINKS, b"3": SPECIAL, b"4": SPECIAL, b"6": SPECIAL}
_LONG_NAME, _LONG_LINK, _SPARSE = b"L", b"K", b"S"
_PAX, _PAX_GLOBAL = (b"x", b"X"), b"g"
_GNU_MAGIC = b"ustar  \0"
_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ")


class TarStream:
    """An archive that is read from start to end.

    Args:
      file: the archive, at its start.
      whole: read what is passed over too.
    """

    def __init__(self, file: BinaryIO, *, whole: bool = False) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END) if not whole else None
        if self._size is not None:
            file.seek(0)
        self.position = 0

    def read(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        data = self._file.read(size)
        self.position += len(data)
        return data

    def skip(self, size: int) -> None:
        """Passes over bytes; past the end it is the next `read` that finds none."""
        end = self.position + size
        if self._size is not None:
            # No file system lets one go as far as a header may say.
            self.position = self._file.seek(min(end, self._size))
            return
        while self.position < end and self.read(min(PIECE, end - self.position)):
            pass

    def finish(self) -> None:
        """Reads what is left after the last member."""
        while self.read(PIECE):
            pass


def members(stream: TarStream, passed_over: PassedOver) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each regular file, in order; links and devices are counted, and directories left out.

    Args:
      stream: the archive.
      passed_over: counts what is no regular file.

    Raises:
      DataError: it is damaged, cut off, or has a header beyond the limits; the message does not say where.
    """
    while (block := stream.read(_BLOCK)) and any(block):
        name, size, extended = b"", None, 0
        while (kind := _kind(block)) in (_LONG_NAME, _LONG_LINK, _PAX_GLOBAL, *_PAX):
            extended += 1
            if extended > MOST_HEADERS:
                raise _damaged(f"more than {MOST_HEADERS} headers of one member")
            content = _content(stream, block)
            if kind == _LONG_NAME:
                name = content.split(b"\0", 1)[0]
            elif kind != _LONG_LINK:
                fields = _pax(content)
                if kind == _PAX_GLOBAL and fields:
                    raise _damaged("one header names all members")
                name = fields.get(b"path", name)
                size = _decimal(fields[b"size"]) if b"size" in fields else size
            block = stream.read(_BLOCK)
        name = name or _short_name(block)
        if len(name) > MOST_NAME_BYTES:
            raise _damaged(f"a name of {len(name)} bytes")
        if kind == _SPARSE:  # its bytes in the archive are not those of the file
            raise DataError("a member is stored sparse; pack it without tar's --sparse")
        size = _number(block[124:136]) if size is None else size
        if kind in _FILES and not (kind == b"\0" and name.endswith(b"/")):  # so old tools mark directories
            yield name.decode("utf-8", "surrogateescape"), stream.position, size
        elif kind in _PASSED_OVER:
            passed_over.add(_PASSED_OVER[kind], name.decode("utf-8", "surrogateescape"))
        if kind not in _WITHOUT_DATA:
            stream.skip(_padded(size))
    if len(block) < _BLOCK:
        raise _damaged("no end mark")


def _damaged(reason: str) -> DataError:
    return DataError(f"damaged or cut off ({reason}); {GET_AGAIN}")


def _kind(block: bytes) -> bytes:
    """The type of the member that a header is of, once its checksum is right."""
    if len(block) < _BLOCK:
        raise _damaged("a header is cut off")
    content = block[:148] + b" " * 8 + block[156:]
    recorded, unsigned = _number(block[148:156]), sum(content)
    # Old tools sum signed bytes.
    if recorded != unsigned and recorded != unsigned - 256 * sum(byte > 127 for byte in content):
        raise _damaged("a header's checksum is wrong")
    return block[156:157]


def _short_name(block: bytes) -> bytes:
    name, prefix = (field.split(b"\0", 1)[0] for field in (block[:100], block[345:500]))
    # GNU's older headers have times there.
    return prefix + b"/" + name if prefix and block[257:265] != _GNU_MAGIC else name


def _content(stream: TarStream, block: bytes) -> bytes:
    size = _number(block[124:136])
    if size > MOST_HEADER_BYTES:
        raise _damaged(f"a header of {size} bytes, more than {MOST_HEADER_BYTES}")
    content = stream.read(_padded(size))
    if len(content) < size:
        raise _damaged("a header is cut off")
    return content[:size]


def _pax(content: bytes) -> dict[bytes, bytes]:
    """The fields of a POSIX header, `LENGTH KEY=VALUE` and a new line each, that say where a member's bytes are."""
    fields = {}
    at = 0
    while at < len(content):
        match = _RECORD.match(content, at)
        end = at + int(match[1]) if match else 0
        key, equals, value = content[match.end() if match else 0 : max(end - 1, 0)].partition(b"=")
        if not match or end > len(content) or content[end - 1 : end] != b"\n" or not equals:
            raise _damaged("a header's fields are garbled")
        if key.startswith(b"GNU.sparse."):
            raise DataError("a member is stored sparse; pack it without tar's --sparse")
        if key in (b"path", b"size"):
            fields[key] = value
        at = end
    return fields


def _number(field: bytes) -> int:
    """A number in octal digits, or, as GNU's tar has large ones, in bytes after one of 0x80."""
    if field[:1] == b"\x80":
        number = int.from_bytes(field[1:], "big")
    else:
        digits = field.split(b"\0", 1)[0].strip() or b"0"
        number = int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else _MOST + 1
    if number > _MOST:
        raise _damaged("a header's number is garbled")
    return number


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,18}", text):
        raise _damaged("a header's number is garbled")
    return int(text)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
