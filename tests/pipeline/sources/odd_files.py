"""Image files that Pillow reads and does not write, made byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms


def saved(image: Image.Image | np.ndarray, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, form, **options)
    return out.getvalue()


def with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def tiff(values: bytes, bits: list[int], *tags: tuple[int, int], width: int = 4, height: int = 6) -> bytes:
    """A TIFF of one strip, with what Pillow does not write."""
    fixed = {256: width, 257: height, 259: 1, 262: 1, 277: len(bits), 278: height, 279: len(values)}
    entries = {**fixed, **dict(tags)}
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    at = struct.pack("<HHII", 258, 3, len(bits), bits[0] if len(bits) == 1 else start)
    packed = [at, struct.pack("<HHII", 273, 4, 1, start + 2 * len(bits))]
    long = (256, 257, 278, 279)
    packed += [struct.pack("<HHII", tag, 4 if tag in long else 3, 1, entries[tag]) for tag in entries]
    packed.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    depths = struct.pack(f"<{len(bits)}H", *bits)
    return b"II*\0" + struct.pack("<IH", 8, len(packed)) + b"".join(packed) + bytes(4) + depths + values


def packed_12(values: np.ndarray) -> bytes:
    pairs = values.reshape(-1, 2).astype(int).tolist()
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)


def png(mode: int, rows: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits, which Pillow writes of grey alone: `rows` uint16 [H, W, C]."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = rows.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, mode, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def ink_profile() -> bytes:
    """An ICC profile of CMYK whose inks are all grey: L = 100 (1 - K), whatever C, M and Y."""
    grid = [(0 if k == 0 else 1) for _ in range(8) for k in (0, 1)]
    lab = b"".join(struct.pack(">BBB", 0 if dark else 255, 128, 128) for dark in grid)
    identity = b"".join(struct.pack(">i", value << 16) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + lab + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78)
    tags, body, at = [], b"", 128 + 4 + 12 * 3
    for name, content in ((b"A2B0", table), (b"wtpt", white), (b"desc", text)):
        tags.append(struct.pack(">4sII", name, at + len(body), len(content)))
        body += content + bytes(-len(content) % 4)
    header = bytearray(128)
    header[8:12] = bytes([2, 0x40, 0, 0])
    header[12:24] = b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    whole = bytes(header) + struct.pack(">I", 3) + b"".join(tags) + body
    return struct.pack(">I", len(whole)) + whole[4:]
