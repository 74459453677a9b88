"""Images cropped or stretched to the size asked for, JPEGs from a decoding at reduced size."""

from __future__ import annotations

from PIL import Image, JpegImagePlugin

from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.orientation import upright_size

_RESAMPLING = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


def reduce(image: Image.Image, orientation: int, options: ReadOptions) -> int:
    """Has a JPEG decoded at 1/2, 1/4 or 1/8 of its size, as `options.jpeg_reduction` allows.

    Args:
      image: opened, not decoded.
      orientation: how it is stored.
      options: the size asked for, and the filter.

    Returns:
      By what the sides are divided; 1 for other formats and small images.
    """
    least = options.jpeg_reduction
    if least is None or not (
        isinstance(options.image_size, tuple) and isinstance(image, JpegImagePlugin.JpegImageFile)
    ):
        return 1
    height, width = upright_size(*options.image_size, orientation)
    scale = min(image.height // (least * height), image.width // (least * width))
    reduction = next((by for by in (8, 4, 2) if scale >= by), 1)
    if reduction > 1:
        image.draft(None, (least * width, least * height))
    return reduction


def fitted(
    image: Image.Image, full: tuple[int, int], options: ReadOptions, reduction: int = 1, orientation: int = 1
) -> Image.Image:
    """The image in the size that `options` ask for, if they do.

    `fit="crop"` cuts off the sides, or top and bottom, evenly, to the aspect asked for, and scales; `"stretch"` scales
    all of it. The filter is widened by the scale, so fine patterns do not alias.

    Args:
      image: upright.
      full: (height, width) before its reduction.
      options: size, fit, resampling.
      reduction: by what its sides were divided.
      orientation: how it was stored.
    """
    size = options.image_size
    if not isinstance(size, tuple) or size == full:
        return image
    height, width = size
    box = _crop(*full, height, width) if options.fit == "crop" else (0, 0, full[1], full[0])
    # A reduced JPEG's last column and row may stand for less than the others; turned, they may be the first.
    across = image.width - full[1] / reduction if orientation in (2, 3, 6, 7) else 0
    down = image.height - full[0] / reduction if orientation in (3, 4, 7, 8) else 0
    left, top, right, bottom = (edge / reduction for edge in box)
    reduced = (left + across, top + down, right + across, bottom + down)
    return image.resize((width, height), _RESAMPLING[options.resample], reduced)


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
