"""The frames of an animation and the pages of a file."""

from __future__ import annotations

import struct

from PIL import Image

from lpe.pipeline.sources.guarded_image import GuardedImage
from lpe.transforms.errors import DataError

_MOST_PAGES = 100_000


def frame_count(image: Image.Image, guarded: GuardedImage) -> int:
    """How many frames or pages an opened file has, none of them decoded.

    Pillow knows it of APNG, WebP and AVIF from the header. For GIF and TIFF it would read all metadata on its way.
    """
    if image.format == "GIF":
        return len(guarded.gif_frames)
    if image.format == "TIFF":
        return _tiff_pages(guarded.getvalue())
    return int(getattr(image, "n_frames", 1))


def choose_frame(image: Image.Image, guarded: GuardedImage, frame: int | None, most_pixels: int) -> None:
    """Goes to the frame asked for, counted from 0, in a file that has several; a single one is what it is.

    Args:
      image: just opened.
      guarded: what it is read from.
      frame: None if none is asked for.
      most_pixels: the limit on what the frames up to it may take.

    Raises:
      DataError: the file has several and none is asked for, or not so many; the message is the reason alone.
    """
    if image.format == "JPEG":  # its further pictures are none of its own
        return
    frames = frame_count(image, guarded)
    if frames <= 1:
        return
    if frame is None:
        raise DataError(f"it has {frames} frames or pages; pass --frame 0 to read the first")
    if frame >= frames:
        raise DataError(f"it has {frames} frames or pages, and no frame {frame}; the first is --frame 0")
    # A GIF's canvas grows with its frames.
    for height, width in guarded.gif_frames[: frame + 1]:
        if height * width > most_pixels:
            raise DataError(f"a frame of it reaches to {height}x{width} pixels, more than {most_pixels}")
    image.seek(frame)


def _tiff_pages(data: bytes) -> int:
    order = "<" if data.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", data, 2) == (43,)
    offset, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    seen: set[int] = set()
    (at,) = struct.unpack_from(f"{order}{offset}", data, 8 if big else 4)
    while at and at not in seen and at + 8 <= len(data) and len(seen) < _MOST_PAGES:
        seen.add(at)
        (entries,) = struct.unpack_from(f"{order}{count}", data, at)
        after = at + struct.calcsize(f"={count}") + entry * entries
        if after + struct.calcsize(f"={offset}") > len(data):
            break
        (at,) = struct.unpack_from(f"{order}{offset}", data, after)
    return max(1, len(seen))
