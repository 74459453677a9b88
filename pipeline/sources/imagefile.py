"""Decoding of image files (PNG, JPEG, and what else Pillow reads), and batches of images of many sizes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from lpe.pipeline.sources.base import ReadOptions, SourceBatch
from lpe.pipeline.sources.guarded_image import GuardedImage
from lpe.transforms.errors import DataError, one_line
from lpe.transforms.image_shape import ImageShape

SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
"""The endings, in lower case, of files that are taken for images."""

DECODER = f"Pillow {PIL.__version__}"
"""What decodes and resizes image files; another version may give other pixels."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # Pillow's names for those of the endings
_BATCH_BYTES = 4 << 20  # what is stacked, encrypted, laid out and summed one after the other stays in the cache


class LabelledImage(NamedTuple):
    """One image of a slice: index in the slice, original name, pixels uint8 [H, W, C], class, `file_digest`."""

    offset: int
    name: str
    pixels: np.ndarray
    label: int
    digest: bytes | None = None


def in_batches(images: Iterable[LabelledImage], batch_size: int) -> Iterator[SourceBatch]:
    """Consecutive images as batches of one shape, at most `batch_size` images or 4 MiB each."""
    waiting: list[LabelledImage] = []
    for image in images:
        room = min(batch_size, max(1, _BATCH_BYTES // image.pixels.nbytes))
        if waiting and (len(waiting) >= room or waiting[0].pixels.shape != image.pixels.shape):
            yield _batch(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield _batch(waiting)


def decode_image(data: bytes, options: ReadOptions) -> np.ndarray:
    """The pixels of an encoded image, uint8 [H, W, C], C as `options` say.

    Palettes, grey and CMYK become RGB; transparency is dropped. With a size in `options` the image
    is cropped to that aspect around its centre and resized.

    Raises:
      DataError: why it cannot be read; the message is the reason alone.
    """
    try:
        with _opened(data) as image:
            height, width = image.height, image.width
            if height * width > options.limits.pixels:
                raise DataError(
                    f"it has {height}x{width} pixels, more than {options.limits.pixels}; raise that with lpe ingest "
                    "--max-pixels if you trust it"
                )
            if image.mode.startswith(("I", "F")):
                raise DataError(
                    f"{image.mode} images (more than 8 bits) are not supported; convert it to 8 bits"
                )
            converted = image.convert("L" if options.grey else "RGB")
            if (converted.height, converted.width) != (height, width):
                raise DataError("cannot be decoded: its size is not what it says")
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "it is no image" if unknown else one_line(error)
        raise DataError(f"cannot be decoded: {reason}") from error
    return _to_array(converted, options)


def fit_image(pixels: np.ndarray, options: ReadOptions) -> np.ndarray:
    """Decoded pixels (uint8 [H, W, 1 or 3]) in the channels and size that `options` ask for."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return _to_array(image.convert("L" if options.grey else "RGB"), options)


def check_shape(pixels: np.ndarray, shape: ImageShape | None) -> None:
    """Raises DataError, with the reason alone, for an image of another shape than all must have, if they must."""
    if shape is not None and pixels.shape != shape:
        raise DataError(
            f"it is {pixels.shape[0]}x{pixels.shape[1]}, most are {shape[0]}x{shape[1]} (pass --image-size "
            "HEIGHTxWIDTH to resize all, or --image-size any to keep all sizes)"
        )


def check_label(label: int, classes: int) -> None:
    """Raises DataError, with the reason alone, for no label of so many classes, such as −1 for "not labelled"."""
    if not 0 <= label < classes:
        raise DataError(f"label {label} for {classes} classes")


def image_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) from an image's header; None if it is none."""
    try:
        with _opened(data) as image:
            return image.height, image.width
    except Exception:
        return None


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images; too large ones are errors
        with Image.open(GuardedImage(data), formats=_FORMATS) as image:
            yield image


def _batch(images: list[LabelledImage]) -> SourceBatch:
    digests = [image.digest for image in images if image.digest is not None]
    return SourceBatch(
        offsets=np.array([image.offset for image in images], np.int64),
        names=[image.name for image in images],
        images=np.stack([image.pixels for image in images]),
        labels=np.array([image.label for image in images], np.int64),
        digests=digests if len(digests) == len(images) else None,
    )


def _to_array(image: Image.Image, options: ReadOptions) -> np.ndarray:
    if isinstance(options.image_size, tuple) and options.image_size != (image.height, image.width):
        height, width = options.image_size
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], options.channels)
