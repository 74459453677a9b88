"""The frames of an animation and the pages of a file."""

from __future__ import annotations

import struct

from PIL import Image

_MOST_FRAMES = 100_000


def frame_count(image: Image.Image, data: bytes) -> int:
    """How many frames or pages an opened file has, none of them decoded.

    Pillow knows it of APNG, WebP and AVIF from the header. For GIF and TIFF it would read all metadata on its way.
    """
    if image.format == "GIF":
        return len(gif_frames(data))
    if image.format == "TIFF":
        return _tiff_pages(data)
    return int(getattr(image, "n_frames", 1))


def gif_frames(data: bytes) -> list[int]:
    """Where the frames of a GIF start, as far as it is whole."""
    frames: list[int] = []
    at = 13 + _colours(data[10:11])
    while at < len(data) and len(frames) < _MOST_FRAMES:
        kind = data[at]
        if kind == 0x2C:  # an image: its place, its colours, the size of its codes, its data
            frames.append(at)
            at = _after_blocks(data, at + 11 + _colours(data[at + 9 : at + 10]))
        elif kind == 0x21:  # an extension
            at = _after_blocks(data, at + 2)
        elif kind == 0x3B:
            break
        else:
            at += 1
    return frames


def _colours(flags: bytes) -> int:
    """The bytes of a table of colours, if there is one."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _tiff_pages(data: bytes) -> int:
    order = "<" if data.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", data, 2) == (43,)
    offset, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    seen: set[int] = set()
    (at,) = struct.unpack_from(f"{order}{offset}", data, 8 if big else 4)
    while at and at not in seen and at + 8 <= len(data) and len(seen) < _MOST_FRAMES:
        seen.add(at)
        (entries,) = struct.unpack_from(f"{order}{count}", data, at)
        after = at + struct.calcsize(f"={count}") + entry * entries
        if after + struct.calcsize(f"={offset}") > len(data):
            break
        (at,) = struct.unpack_from(f"{order}{offset}", data, after)
    return max(1, len(seen))
