"""Thumbnails: the mean of each box of pixels."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.reductions.base import Reduction, whole_number
from lpe.transforms.reductions.separable import weighted_means


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
        height, width, _ = self.reduced_shape(image_shape_of(images))
        return weighted_means(images, _boxes(images.shape[1], height), _boxes(images.shape[2], width))


def _boxes(pixels: int, boxes: int) -> np.ndarray:
    """How much of each pixel lies in each box, float64 [boxes, pixels], in units that make each row's sum `pixels`."""
    ends = np.arange(pixels + 1) * boxes
    limits = np.arange(boxes + 1) * pixels
    low = np.maximum(limits[:-1, None], ends[None, :-1])
    high = np.minimum(limits[1:, None], ends[None, 1:])
    overlap: np.ndarray = np.maximum(high - low, 0)
    return overlap.astype(np.float64)
