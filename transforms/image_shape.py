"""The shape of an image: height, width, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ImageShape = tuple[int, int, int]
"""(height, width, channels), in pixels, pixels and bytes a pixel."""


def image_shape_of(images: np.ndarray) -> ImageShape:
    """The shape of each image of a batch.

    Args:
      images: [N, H, W, C], of any type; N may be 0.

    Returns:
      (H, W, C).

    Raises:
      ValueError: the array does not have four axes.
    """
    height, width, channels = images.shape[1:]
    return height, width, channels
