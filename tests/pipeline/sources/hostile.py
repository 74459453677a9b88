"""Small files that ask for much: images, archives, pickles."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zlib
from pathlib import Path

from PIL import Image

# ------------------------------------------------------------ images


def png_of(height: int, width: int) -> bytes:
    """A PNG of one grey value, a thousandth of its pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(rows.compress(row * 64) for _ in range(-(-height // 64))) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def directory(tags: int, size: int, *fixed: tuple[int, int, int, int]) -> bytes:
    """A TIFF's directory whose tags all name the same `size` bytes."""
    entries = sorted([*fixed, *((1000 + i, 1, size - 16, 16) for i in range(tags))])
    content = b"II*\0" + struct.pack("<IH", 8, len(entries))
    content += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return content.ljust(size, b"\0")


def tiff_of_tags() -> bytes:
    """300 KB that Pillow makes 3 GB of."""
    layout = ((256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
    strips = ((273, 4, 1, 200_000), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64))
    return directory(10_000, 300_000, *layout, *strips)


def jpeg_of_exif() -> bytes:
    """260 KB that Pillow makes 2.5 GB of."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    plain = out.getvalue()
    content = directory(10_000, 250_000)
    pieces = [content[i : i + 60_000] for i in range(0, len(content), 60_000)]
    marked = (b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece for piece in pieces)
    without_resolution = plain[:2] + plain[20:]
    return without_resolution[:2] + b"".join(marked) + without_resolution[2:]


def avif_of_exif() -> bytes:
    """The same, of which Pillow makes 2.5 GB where it opens it."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "AVIF", exif=b"Exif\0\0" + directory(10_000, 250_000))
    return out.getvalue()


def jpeg_of_scans() -> bytes:
    """Half a megabyte that takes minutes to decode."""
    out = io.BytesIO()
    Image.new("L", (8000, 8000), 128).save(out, "JPEG", progressive=True, quality=50)
    plain = out.getvalue()
    scans = [match.start() for match in re.finditer(rb"\xff\xda\x00\x08", plain)]
    tables = [plain.rfind(b"\xff\xc4", 0, scan) for scan in scans]
    return plain[: tables[1]] + plain[tables[1] : tables[2]] * 2000 + plain[tables[1] :]


def gif_of_comment(size: int = 20 << 20) -> bytes:
    """20 MB of comment that Pillow copies 80,000 times."""
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    plain = out.getvalue()
    at = plain.index(b",", 13)
    return plain[:at] + b"!\xfe" + (b"\xff" + b"x" * 255) * (size // 256) + b"\0" + plain[at:]


# ------------------------------------------------------------ archives


def tar_header(name: bytes, size: int | bytes, kind: bytes = b"0", magic: bytes = b"ustar\x0000") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[156:157] = kind
    block[257:265] = magic
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_member(name: bytes, content: bytes, kind: bytes = b"0") -> bytes:
    return tar_header(name, len(content), kind) + content + bytes(-len(content) % 512)


def pax_that_overlaps() -> bytes:
    """A header of a megabyte that `tarfile` makes 250 GB of."""
    return tar_member(b"x", b"2 " * (1 << 19), b"x") + tar_member(b"a/x.png", b"x") + bytes(1024)


def packed_zeros(path: Path, size: int, start: bytes = b"") -> Path:
    """A .gz of `start` and zeros."""
    with gzip.open(path, "wb", 9) as file:
        file.write(start)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path
