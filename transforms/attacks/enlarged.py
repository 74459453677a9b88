"""Reduced images in the shape of the images before, so that the two can be compared: pixels repeated."""

from __future__ import annotations

import numpy as np

from lpe.transforms.image_shape import ImageShape


def enlarged(images: np.ndarray, image_shape: ImageShape) -> np.ndarray:
    """Images in another shape, by repeating or leaving out pixels; `images` themselves if they have it.

    Of more channels than wanted the first ones are taken, of fewer the last one is repeated.

    Args:
      images: uint8 [N, H, W, C].
      image_shape: the shape wanted.
    """
    if images.shape[1:] == image_shape:
        return images
    height, width, channels = image_shape
    rows = np.arange(height) * images.shape[1] // height
    columns = np.arange(width) * images.shape[2] // width
    planes = np.minimum(np.arange(channels), images.shape[3] - 1)
    return images[:, rows[:, None, None], columns[:, None], planes]
