"""The frames of a GIF, without its metadata."""

from __future__ import annotations

_HEADER = 13
_CONTROL = b"!\xf9\x04"  # how long a frame is shown, what is transparent
_MOST_FRAMES = 100_000


def without_metadata(data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """A GIF's header and frames alone, and the (height, width) that each frame reaches to, as far as the file is whole.

    Of comments Pillow makes one by copying what it has for each further 255 bytes.
    """
    at = _HEADER + _colours(data[10:11])
    kept = [data[:at]]
    reach: list[tuple[int, int]] = []
    while at < len(data) and len(reach) < _MOST_FRAMES:
        kind, start = data[at], at
        if kind == 0x2C:  # an image: its place, its colours, the size of its codes, its data
            left, top, width, height = (
                int.from_bytes(data[at + i : at + i + 2], "little") for i in (1, 3, 5, 7)
            )
            reach.append((top + height, left + width))
            at = _after_blocks(data, at + 11 + _colours(data[at + 9 : at + 10]))
            kept.append(data[start:at])
        elif kind == 0x21:
            at = _after_blocks(data, at + 2)
            if data.startswith(_CONTROL, start) and at == start + 8:
                kept.append(data[start:at])
        elif kind == 0x3B:
            break
        else:
            at += 1
    return b"".join([*kept, b";"]), reach


def _colours(flags: bytes) -> int:
    """The bytes of a table of colours, if there is one."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1
