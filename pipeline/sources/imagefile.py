"""Decoding of image files, and batches of images of many sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image

from lpe.pipeline.sources.base import ReadOptions, SourceBatch
from lpe.pipeline.sources.colours import in_colour
from lpe.pipeline.sources.depth import in_eight_bits
from lpe.pipeline.sources.frames import choose_frame
from lpe.pipeline.sources.image_description import stored_bits, stored_orientation, stored_size
from lpe.pipeline.sources.image_formats import opened
from lpe.pipeline.sources.orientation import upright, upright_size
from lpe.pipeline.sources.resizing import fitted, reduce
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

DECODER = f"Pillow {PIL.__version__}"
"""What decodes and resizes image files; another version may give other pixels."""

# What is stacked, encrypted, laid out and summed one after the other stays in the cache.
_BATCH_BYTES = 4 << 20


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
    """The pixels of an encoded image, uint8 [H, W, C], C and the size as `options` say.

    It is turned upright as its Exif says (`orientation`), of several frames the one asked for is read (`frames`), its
    depth is made 8 bits (`depth`), its colours RGB or grey (`colours`), and its size what was asked for (`resizing`),
    in this order.

    Raises:
      DataError: why it cannot be read; the message is the reason alone.
    """
    with opened(data) as (image, guarded):
        _check_pixels(image.height, image.width, options)
        choose_frame(image, guarded, options.frame, options.limits.pixels)
        orientation = stored_orientation(image, guarded)
        height, width = stored_size(image, orientation)
        _check_pixels(height, width, options)
        reduction = reduce(image, orientation, options)
        stored = -(-height // reduction), -(-width // reduction)
        tiff = image.format == "TIFF"  # which Pillow turns itself
        shallow = in_eight_bits(image, stored_bits(image, data), options)
        coloured = in_colour(shallow, options)
        if not tiff:
            coloured = upright(coloured, orientation)
        if (coloured.height, coloured.width) != upright_size(*stored, orientation):
            raise DataError("cannot be decoded: its size is not what it says")
        full = upright_size(height, width, orientation)
        return _to_array(fitted(coloured, full, options, reduction, orientation), options)


def fit_image(pixels: np.ndarray, options: ReadOptions) -> np.ndarray:
    """Decoded pixels (uint8 [H, W, 1 or 3]) in the channels and size that `options` ask for."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    coloured = image.convert("L" if options.grey else "RGB")
    return _to_array(fitted(coloured, pixels.shape[:2], options), options)


def check_shape(pixels: np.ndarray, shape: ImageShape | None) -> None:
    """Raises DataError, with the reason alone, for an image of another shape than all must have, if they must."""
    if shape is not None and pixels.shape != shape:
        raise DataError(
            f"it is {pixels.shape[0]}x{pixels.shape[1]}, most are {shape[0]}x{shape[1]} (pass --image-size "
            "HEIGHTxWIDTH to crop all to that aspect around the centre and scale them, or --image-size any to keep "
            "all sizes)"
        )


def check_label(label: int, classes: int) -> None:
    """Raises DataError, with the reason alone, for no label of so many classes, such as −1 for "not labelled"."""
    if not 0 <= label < classes:
        raise DataError(f"label {label} for {classes} classes")


def image_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of an upright image, from its header; None if it is none."""
    try:
        with opened(data) as (image, guarded):
            orientation = stored_orientation(image, guarded)
            return upright_size(*stored_size(image, orientation), orientation)
    except DataError:
        return None


def _check_pixels(height: int, width: int, options: ReadOptions) -> None:
    if height * width > options.limits.pixels:
        raise DataError(
            f"it has {height}x{width} pixels, more than {options.limits.pixels}; raise that with lpe ingest "
            "--max-pixels if you trust it"
        )


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
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, options.channels)
