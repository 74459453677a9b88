"""The orientation that a camera noted in an image's Exif: which of eight ways the pixels have to be turned."""

from __future__ import annotations

import struct

from PIL import Image

_TAG = 0x0112
_MOST_ENTRIES = 1000  # a camera's first directory has about a dozen
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def exif_orientation(exif: bytes) -> int:
    """The orientation in an Exif block, 1..8, with or without its signature.

    Only the first directory's entries are looked at, for Pillow reads all that a hostile block names. A block that is
    damaged, or says nothing, or none of the eight, says 1: the pixels are whole, so the image is read as it is stored.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", block, start)
    for i in range(min(entries, _MOST_ENTRIES, (len(block) - start - 2) // 12)):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", block, start + 2 + 12 * i)
        if tag == _TAG:
            return value if (kind, count) == (3, 1) and value in _TURNS else 1
    return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned as its orientation says."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """The (height, width) of a stored image once it is turned."""
    return (width, height) if orientation >= 5 else (height, width)
