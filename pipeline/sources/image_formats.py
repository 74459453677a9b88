"""The formats of image files that are read, and opening one without decoding it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from lpe.pipeline.sources.guarded_image import JPEG, GuardedImage, guarded
from lpe.transforms.errors import DataError, one_line

SUFFIXES = frozenset(
    [
        ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm", ".pgm", ".png",
        ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
    ]
)  # fmt: skip
"""The endings, in lower case, of files that are taken for images."""

# Pillow's names for the formats of those endings. Targa's files have no signature: it is tried last.
_FORMATS = ("PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF", "TGA")


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[tuple[Image.Image, GuardedImage]]:
    """An image file whose header is read, and the guarded bytes that Pillow reads it from.

    Raises:
      DataError: it is no image, or Pillow or the guard refuses it, here or within the block; the message is the
        reason alone.
    """
    try:
        image_bytes = guarded(data)
        if data.startswith(JPEG):
            # Quicker than `Image.open`, which would also read the index of further pictures, such as a map of depths.
            with JpegImagePlugin.JpegImageFile(image_bytes) as image:
                yield image, image_bytes
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of large images; too large ones are errors
                with Image.open(image_bytes, formats=_FORMATS) as image:
                    yield image, image_bytes
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "it is no image" if unknown else one_line(error)
        raise DataError(f"cannot be decoded: {reason}") from error
