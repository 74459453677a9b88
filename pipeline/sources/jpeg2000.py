"""The header of a JPEG 2000 codestream, and what its decoder would take for it before it reads a pixel.

OpenJPEG makes its tables for all tiles, precincts and code-blocks that a header asks for: of 170 bytes 10 GB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lpe.transforms.errors import DataError

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
# Of markers that it does not know the decoder looks for the next one; who walks on must not see another header.
_KNOWN = {0xFF50, _SIZ, _COD, _COC, 0xFF55, *range(0xFF57, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63, 0xFF64}
_MOST_COMPONENTS = 4
_MOST_TILES = 1 << 12  # each takes about 12 KB
_MOST_PRECINCTS = 1 << 18  # about 600 bytes
_MOST_BLOCKS = 1 << 20  # about 400 bytes
_MOST_PACKETS = 1 << 24  # 2 bytes


class Codestream(NamedTuple):
    """What the header says: the size, the number of components and the bits of the deepest."""

    height: int
    width: int
    components: int
    bits: int


def read_codestream(data: bytes) -> Codestream:
    """The header of a file's codestream, whose tables are no larger than those of usual files.

    Raises:
      DataError: it is damaged or asks for too much; the message is the reason alone.
    """
    try:
        start = _start(data)
        header = _size(data, start)
        for marker, content in _markers(data, start):
            if marker == _COD:
                _check_tables(header, content[4], content[9:], struct.unpack_from(">H", content, 6)[0])
            elif marker == _COC:  # its layers are those of the COD before
                _check_tables(header, content[4 + 1], content[4 + 2 :], 1)
        return header
    except (struct.error, IndexError):
        raise DataError("cannot be decoded: its header is cut off") from None


def _start(data: bytes) -> int:
    """Where the codestream starts: at once, or in the first box of its kind."""
    at = 0
    while data[at : at + 2] != b"\xff\x4f":
        length, kind = struct.unpack_from(">I4s", data, at)
        begin = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            begin = 16
        if kind == b"jp2c":
            return at + begin
        if length < begin:
            raise DataError("cannot be decoded: a JPEG 2000 file without a codestream")
        at += length
    return at


def _size(data: bytes, start: int) -> Codestream:
    first, second, _, _, right, bottom, left, top = struct.unpack_from(">HHHHIIII", data, start)
    tile_width, tile_height, tile_left, tile_top, components = struct.unpack_from(">IIIIH", data, start + 24)
    if (
        (first, second) != (_SOC, _SIZ)
        or not 1 <= components <= _MOST_COMPONENTS
        or not tile_width * tile_height
    ):
        raise DataError("cannot be decoded: a JPEG 2000 header that is not read")
    tiles = _parts(right - tile_left, tile_width) * _parts(bottom - tile_top, tile_height)
    if tiles > _MOST_TILES:
        raise DataError(f"it has {tiles} tiles, more than {_MOST_TILES}; save it again with larger ones")
    depths = [data[start + 42 + 3 * i] for i in range(components)]
    return Codestream(bottom - top, right - left, components, max((depth & 0x7F) + 1 for depth in depths))


def _markers(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """The segments of the main header and of those of all tiles, each from its marker on."""
    at, tile_end = start + 2, 0
    while at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == _EOC:
            return
        if marker == _SOD:
            at = tile_end
            continue
        if marker == _SOT:
            (size,) = struct.unpack_from(">I", data, at + 6)
            tile_end = at + size if size else len(data)
            if length != 10 or tile_end < at + 14:
                raise DataError("cannot be decoded: a damaged tile")
        elif marker not in _KNOWN or length < 2:
            raise DataError(f"cannot be decoded: a marker that is not read, {marker:04x}")
        yield marker, data[at : at + 2 + length]
        at += 2 + length


def _check_tables(header: Codestream, style: int, coding: bytes, layers: int) -> None:
    """Refuses tables that are too large, were they for all of the image.

    Args:
      header: of the image.
      style: whose lowest bit says that sizes of precincts follow.
      coding: levels, the sides of code-blocks as exponents less 2, two more bytes, and a byte for each size.
      layers: of quality.
    """
    levels, across, down = coding[0], coding[1] + 2, coding[2] + 2
    if levels > 32 or across > 10 or down > 10:
        raise DataError("cannot be decoded: a JPEG 2000 header that is not read")
    precincts = blocks = 0
    for level in range(levels + 1):
        size = coding[5 + level] if style & 1 else 0xFF
        wide, high = size & 15, size >> 4
        width, height = _parts(header.width, 1 << levels - level), _parts(header.height, 1 << levels - level)
        precincts += _parts(width, 1 << wide) * _parts(height, 1 << high)
        band = level > 0  # a precinct has a quarter of its pixels in each of three
        blocks += _parts(width, 1 << min(across, max(0, wide - band))) * _parts(
            height, 1 << min(down, max(0, high - band))
        )
    for number, most, what in (
        (precincts * header.components, _MOST_PRECINCTS, "precincts"),
        (blocks * header.components, _MOST_BLOCKS, "code-blocks"),
        (precincts * header.components * layers, _MOST_PACKETS, "packets"),
    ):
        if number > most:
            raise DataError(f"it has {number} {what}, more than {most}; save it again with larger ones")


def _parts(length: int, size: int) -> int:
    return -(-length // size)
