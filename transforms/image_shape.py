"""The shape of an image: height, width, channels."""

from __future__ import annotations

from typing import Any

import numpy as np

ImageShape = tuple[int, int, int]
"""(height, width, channels)."""


def image_shape_of(images: np.ndarray[Any, Any]) -> ImageShape:
    """The shape of each image of a batch, [N, H, W, C] -> (H, W, C)."""
    height, width, channels = images.shape[1:]
    return height, width, channels
