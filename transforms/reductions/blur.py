"""Gaussian blur."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.separable import weighted_means

_SIGMA = re.compile(r"\d{1,3}(\.\d{1,2})?", re.ASCII)
_REACH = 4
"""Standard deviations after which weights are left out."""
_ONE = 1 << 16
"""The sum of all weights of a pixel, in units that are whole."""


@dataclasses.dataclass(frozen=True)
class Blur(Reduction):
    """A Gaussian mean over each pixel's neighbours; beyond its edges the image is mirrored.

    Attributes:
      sigma: the standard deviation in pixels, more than 0.
    """

    sigma: float
    name = "blur"
    takes = "the standard deviation in pixels"
    reshapes = False

    @classmethod
    def read(cls, value: str) -> Blur:
        """From its argument. Raises UsageError."""
        if not _SIGMA.fullmatch(value) or not 0.1 <= float(value) <= 100:
            raise UsageError(f"{cls.name}={value}: give pixels from 0.1 to 100, such as 1.5")
        return cls(float(value))

    def __str__(self) -> str:
        """See `Reduction`."""
        return f"{self.name}={self.sigma:g}"

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        return image_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        return weighted_means(images, self._weights(images.shape[1]), self._weights(images.shape[2]))

    def _weights(self, pixels: int) -> np.ndarray:
        """The weight of each pixel in each one's mean, float64 [pixels, pixels], whole numbers with sums of 2^16."""
        reach = math.ceil(_REACH * self.sigma)
        offsets = np.arange(-reach, reach + 1)
        kernel = np.exp(-(offsets**2) / (2 * self.sigma**2))
        kernel = np.round(kernel / kernel.sum() * _ONE)
        kernel[reach] += _ONE - kernel.sum()
        # The image, mirrored with its edge pixels twice, has period 2 · pixels.
        at = (np.arange(pixels)[:, None] + offsets) % (2 * pixels)
        at = np.where(at < pixels, at, 2 * pixels - 1 - at)
        weights = np.zeros((pixels, pixels))
        np.add.at(weights, (np.arange(pixels)[:, None], at), np.broadcast_to(kernel, at.shape))
        return weights
