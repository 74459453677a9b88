"""Small pictures of images however they are stored: upright, transparency on squares, any depth as 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lpe.pipeline.sources.image_description import ImageDescription
from lpe.pipeline.sources.image_formats import opened
from lpe.pipeline.sources.limits import Limits
from lpe.pipeline.sources.orientation import upright
from lpe.transforms.errors import DataError

_LIGHT, _DARK, _SQUARE = 235, 200, 8


def thumbnail(data: bytes, described: ImageDescription, side: int, limits: Limits) -> Image.Image:
    """A file's image, the first of several, as RGB that fits into a square of `side` pixels.

    Raises:
      DataError: it is damaged, or has more pixels than the limits allow; the message is the reason alone.
    """
    if described.height * described.width > limits.pixels:
        raise DataError(f"it has {described.height}x{described.width} pixels, more than {limits.pixels}")
    with opened(data) as (image, _):
        image.draft(None, (2 * side, 2 * side))  # a JPEG is decoded at a half, a quarter or an eighth
        image.load()
        small = fitted(_eight_bits(image, side), side)
        # Pillow turns a TIFF itself.
        return small if described.format == "TIFF" else upright(small, described.orientation)


def fitted(image: Image.Image, side: int) -> Image.Image:
    """An image as RGB, made to fit into a square of `side` pixels; small ones are magnified pixel by pixel."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    if image.has_transparency_data:
        return _on_squares(image.convert("RGBA").resize(size, resampling))
    return image.convert("RGB").resize(size, resampling)


def _eight_bits(image: Image.Image, side: int) -> Image.Image:
    """An image of 8 bits a channel: others from their darkest to their brightest pixel, so that something is seen."""
    if not image.mode.startswith(("I", "F")):
        return image
    step = max(1, min(image.size) // (4 * side))  # as 64-bit numbers all pixels might take half a gigabyte
    values = np.nan_to_num(np.asarray(image)[::step, ::step].astype(np.float64))
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def _on_squares(image: Image.Image) -> Image.Image:
    rows, columns = np.indices((image.height, image.width)) // _SQUARE
    squares = np.where((rows + columns) % 2, _DARK, _LIGHT).astype(np.uint8)
    whole = Image.fromarray(squares).convert("RGBA")
    whole.alpha_composite(image)
    return whole.convert("RGB")
