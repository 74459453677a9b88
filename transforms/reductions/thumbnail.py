"""Thumbnails: the mean of each box of pixels."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.reductions.base import Reduction, whole_number
from lpe.transforms.reductions.separable import BAND, Band, weighted_means


@dataclasses.dataclass(frozen=True)
class Thumbnail(Reduction):
    """Box means. Where a box cuts through a pixel, the pixel counts by the part of it that is inside.

    Attributes:
      side: the longer side of the thumbnail, in pixels; the other one keeps the proportions, and is 1 at least.
    """

    side: int
    name = "thumbnail"
    takes = "the longer side in pixels"

    @classmethod
    def read(cls, value: str) -> Thumbnail:
        """From its argument. Raises UsageError."""
        return cls(whole_number(cls.name, value, 1, 16384))

    def __str__(self) -> str:
        """See `Reduction`."""
        return f"{self.name}={self.side}"

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        height, width, channels = image_shape
        longer = max(height, width)
        if self.side >= longer:
            raise UsageError(
                f"{self}: images of {height}×{width} are no larger than that; give a smaller side, at most {longer - 1}"
            )
        return (
            max(1, (2 * height * self.side + longer) // (2 * longer)),
            max(1, (2 * width * self.side + longer) // (2 * longer)),
            channels,
        )

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        shape = self.reduced_shape(image_shape_of(images))
        rows, columns = (_boxes(*sides) for sides in zip(images.shape[1:3], shape[:2], strict=True))
        return weighted_means(images, shape, rows, columns)


def _boxes(pixels: int, boxes: int) -> list[Band]:
    """How much of each pixel lies in each box, in units that make each box's sum `pixels`."""
    bands = []
    for at in range(0, boxes, BAND):
        # The boundaries of boxes and pixels, in units of 1/boxes of a pixel.
        limits = np.arange(at, min(at + BAND, boxes) + 1) * pixels
        first, end = limits[0] // boxes, -(-limits[-1] // boxes)
        ends = np.arange(first, end + 1) * boxes
        low = np.maximum(limits[:-1, None], ends[None, :-1])
        high = np.minimum(limits[1:, None], ends[None, 1:])
        bands.append(Band(int(first), np.maximum(high - low, 0).astype(np.float64)))
    return bands
