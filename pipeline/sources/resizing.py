"""Images cropped or stretched to the size asked for, JPEGs from a decoding at reduced size."""

from __future__ import annotations

from PIL import Image, JpegImagePlugin

from lpe.pipeline.sources.base import JPEG_REDUCTION, ReadOptions

_RESAMPLING = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


def reduce(image: Image.Image, height: int, width: int) -> int:
    """Has a JPEG decoded at 1/8, 1/4 or 1/2 of its size, at least `JPEG_REDUCTION` times (height, width).

    Args:
      image: opened, not decoded.
      height: what it will be resized to, as it is stored.
      width: likewise.

    Returns:
      By what the sides are divided; 1 for other formats and small images.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 1
    scale = min(image.height // (JPEG_REDUCTION * height), image.width // (JPEG_REDUCTION * width))
    reduction = next((by for by in (8, 4, 2) if scale >= by), 1)
    if reduction > 1:
        image.draft(None, (JPEG_REDUCTION * width, JPEG_REDUCTION * height))
    return reduction


def fitted(image: Image.Image, full: tuple[int, int], reduction: int, options: ReadOptions) -> Image.Image:
    """The image in the size that `options` ask for, if they do.

    `fit="crop"` cuts off the sides, or top and bottom, evenly, to the aspect asked for, and scales; `"stretch"` scales
    all of it. The filter is widened by the scale, so fine patterns do not alias.

    Args:
      image: upright.
      full: (height, width) before its reduction.
      reduction: by what its sides were divided.
      options: size, fit, resampling.
    """
    size = options.image_size
    if not isinstance(size, tuple) or size == full:
        return image
    height, width = size
    box = _crop(*full, height, width) if options.fit == "crop" else (0, 0, full[1], full[0])
    left, top, right, bottom = (edge / reduction for edge in box)
    return image.resize((width, height), _RESAMPLING[options.resample], (left, top, right, bottom))


def _crop(height: int, width: int, to_height: int, to_width: int) -> tuple[float, float, float, float]:
    """The largest (left, top, right, bottom) of an aspect, in the middle."""
    aspect = to_width / to_height
    crop_width, crop_height = float(width), float(height)
    if width / height > aspect:
        crop_width = aspect * height
    elif width / height < aspect:
        crop_height = width / aspect
    left, top = (width - crop_width) * 0.5, (height - crop_height) * 0.5
    return left, top, left + crop_width, top + crop_height
