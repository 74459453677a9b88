"""Encoded images: pixels as PNG, and the pixels of PNG, JPEG, BMP and GIF."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from lpe.transforms.errors import DataError, one_line
from lpe.transforms.image_shape import ImageShape

MOST_PIXELS = 1 << 26
"""Pixels that an encoded image may have; a small file can claim any number."""
_FORMATS = ("PNG", "JPEG", "BMP", "GIF")  # those of TFDS; others would be a larger surface for attacks
_MOST_SCANS = 200  # of a progressive JPEG, each of which goes over the whole image; encoders make about ten


def to_png(image: np.ndarray) -> bytes:
    """An image (uint8 [H, W, 1 or 3]) as PNG. Raises DataError for one of more pixels than could be read again."""
    height, width, channels = image.shape
    if height * width > MOST_PIXELS:
        raise DataError(
            f"an image of {height}x{width} pixels; at most {MOST_PIXELS} can be stored: make it smaller"
        )
    out = io.BytesIO()
    pixels = image[..., 0] if channels == 1 else image
    # Cipher noise does not compress: the lowest effort loses nothing.
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "png", compress_level=1)
    return out.getvalue()


def from_encoded(payload: bytes, channels: int, image_shape: ImageShape | None) -> np.ndarray:
    """An encoded image's pixels, uint8 [H, W, C]; its size is known, and checked, before anything is decoded.

    Args:
      payload: its file.
      channels: 1 or 3.
      image_shape: the shape that it must have; None for any.

    Raises:
      DataError: why it cannot be read; the message is the reason alone.
    """
    try:
        with Image.open(io.BytesIO(payload), formats=_FORMATS) as image:
            _check(image, payload, channels, image_shape)
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"its image has more than {MOST_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise DataError("its image is no PNG, JPEG, BMP or GIF") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged images
        raise DataError(f"its image cannot be decoded ({one_line(error)})") from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _check(image: Image.Image, payload: bytes, channels: int, image_shape: ImageShape | None) -> None:
    shape = (image.height, image.width, channels)
    if image_shape is not None and shape != image_shape:
        raise DataError(f"its image has shape {shape}, not {image_shape}")
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"its image has {image.width}x{image.height} pixels, more than {MOST_PIXELS}")
    if image.mode.startswith(("I", "F")):
        raise DataError(f"its image has more than 8 bits a value (mode {image.mode})")
    if payload.count(b"\xff\xda") > _MOST_SCANS and image.format == "JPEG":
        raise DataError(f"its image is a JPEG of more than {_MOST_SCANS} scans")
