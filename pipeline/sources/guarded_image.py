"""Image files in memory, guarded against metadata that cost Pillow more than the pixels do."""

from __future__ import annotations

import io
import re

from lpe.pipeline.sources.gif import without_metadata
from lpe.pipeline.sources.limits import MOST_READS, MOST_SCANS
from lpe.transforms.errors import DataError

JPEG = b"\xff\xd8\xff"
"""The start of a JPEG."""

_LEAST_BYTES = 1 << 16
# A marker's bytes stand nowhere in compressed data. This one's length is 6 + 2 for each of 1 to 4 channels.
_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e]")
_EXIF = re.compile(rb"(\xff\xe1..)Exif\0\0", re.DOTALL)
_AVIF_EXIF = re.compile(rb"(infe(?:.{8}|.{10}))Exif", re.DOTALL)


class GuardedImage(io.BytesIO):
    """An encoded image, to be opened by Pillow; its pixels are those of the file.

    Attributes:
      exif: a JPEG's first Exif block, unread.
      gif_frames: the (height, width) that each frame of a GIF reaches to.
    """

    exif = b""
    gif_frames: tuple[tuple[int, int], ...] = ()


class _CountedImage(GuardedImage):
    """An image of which no more is read than it may have reason for."""

    def __init__(self, data: bytes, frames: int) -> None:
        super().__init__(data)
        # Pillow asks for as much at the start of each frame.
        self._bytes_left = MOST_READS * len(data) + _LEAST_BYTES * (1 + frames)

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BytesIO`."""
        content = super().read(size)
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise DataError("its metadata are out of proportion; save it again without them")
        return content


def guarded(data: bytes) -> GuardedImage:
    """The bytes of an image without what would cost more than the pixels do.

    The Exif of a JPEG and an AVIF is hidden: of 64 KB that name the same bytes again and again Pillow makes 250 MB. A
    GIF's comments are left out. In other formats the bytes that are read are counted; a JPEG's are read once.

    Raises:
      DataError: here or while it is read, it asks for too much; the message is the reason alone.
    """
    if data.startswith(JPEG):
        return _guarded_jpeg(data)
    frames: list[tuple[int, int]] = []
    if data.startswith(b"GIF"):
        data, frames = without_metadata(data)
    elif data[4:8] == b"ftyp":
        data = _AVIF_EXIF.sub(rb"\1exif", data)
    image = _CountedImage(data, len(frames))
    image.gif_frames = tuple(frames)
    return image


def _guarded_jpeg(data: bytes) -> GuardedImage:
    # The count of one byte is quick, and enough for most files.
    if data.count(b"\xda") > MOST_SCANS and (scans := len(_SCAN.findall(data))) > MOST_SCANS:
        raise DataError(f"it is a JPEG of {scans} scans, more than {MOST_SCANS}; save it again as another")
    if b"Exif\0\0" not in data:
        return GuardedImage(data)
    image = GuardedImage(_EXIF.sub(lambda block: block[1] + b"exif\0\0", data))
    if first := _EXIF.search(data):
        image.exif = data[first.end() : first.start() + 2 + int.from_bytes(first[1][2:], "big")]
    return image
