"""Image files in memory, guarded against metadata that cost Pillow more than the pixels do."""

from __future__ import annotations

import io
import re

from lpe.pipeline.sources.gif import without_metadata
from lpe.pipeline.sources.limits import MOST_READS, MOST_SCANS
from lpe.transforms.errors import DataError

_LEAST_BYTES = 1 << 16
# A marker's bytes stand nowhere in compressed data. This one's length is 6 + 2 for each of 1 to 4 channels.
_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e]")
_DIRECTORY = re.compile(rb"(\xff[\xe1\xe2]..)(Exif\0\0|MPF\0)", re.DOTALL)
_AVIF_EXIF = re.compile(rb"(infe(?:.{8}|.{10}))Exif", re.DOTALL)


class GuardedImage(io.BytesIO):
    """An encoded image, to be opened by Pillow; its pixels are those of `data`.

    The directories of metadata of a JPEG and an AVIF are hidden: of 64 KB of Exif that name the same bytes again and
    again Pillow makes 250 MB. With them a JPEG's further pictures are hidden, such as a phone's map of depths. A GIF's
    comments are left out. In other formats the bytes that are read are counted.

    Attributes:
      exif: a JPEG's first Exif block, unread.
      gif_frames: the (height, width) that each frame of a GIF reaches to.

    Raises:
      DataError: on creation or while it is read, it asks for too much; the message is the reason alone.
    """

    def __init__(self, data: bytes) -> None:
        self.exif = b""
        self.gif_frames: list[tuple[int, int]] = []
        if data.startswith(b"\xff\xd8"):
            # Most files are passed by these two quick looks.
            scans = data.count(b"\xff\xda")
            if scans > MOST_SCANS and (scans := len(_SCAN.findall(data))) > MOST_SCANS:
                raise DataError(
                    f"it is a JPEG of {scans} scans, more than {MOST_SCANS}; save it again as another"
                )
            if b"Exif\0\0" in data or b"MPF\0" in data:
                blocks = (match for match in _DIRECTORY.finditer(data) if match[2] == b"Exif\0\0")
                if first := next(blocks, None):
                    self.exif = data[first.end() : first.start() + 2 + int.from_bytes(first[1][2:], "big")]
                data = _DIRECTORY.sub(lambda match: match[1] + match[2].lower(), data)
        elif data[4:8] == b"ftyp":
            data = _AVIF_EXIF.sub(rb"\1exif", data)
        elif data.startswith(b"GIF"):
            data, self.gif_frames = without_metadata(data)
        super().__init__(data)
        # Pillow asks for as much at the start of each frame.
        self._bytes_left = MOST_READS * len(data) + _LEAST_BYTES * (1 + len(self.gif_frames))

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BytesIO`."""
        content = super().read(size)
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise DataError("its metadata are out of proportion; save it again without them")
        return content
