"""Gaussian blur."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.separable import BAND, Band, weighted_means

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
        kernel = self._kernel()
        reach = len(kernel) // 2
        edges = (reach, reach)
        padded = np.pad(images, ((0, 0), edges, edges, (0, 0)), mode="symmetric")
        rows, columns = (_bands(kernel, pixels) for pixels in images.shape[1:3])
        return weighted_means(padded, image_shape_of(images), rows, columns)

    def _kernel(self) -> np.ndarray:
        """The weights of a pixel's neighbours and its own, which is in the middle: whole numbers with a sum of 2^16."""
        reach = math.ceil(_REACH * self.sigma)
        kernel: np.ndarray = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * self.sigma**2))
        kernel = np.round(kernel / kernel.sum() * _ONE)
        kernel[reach] += _ONE - kernel.sum()
        return kernel


def _bands(kernel: np.ndarray, pixels: int) -> list[Band]:
    """The weights of each pixel's mean, where there are more pixels at both ends."""
    count = min(BAND, pixels)
    weights = np.zeros((count, count + len(kernel) - 1))
    for i in range(count):
        weights[i, i : i + len(kernel)] = kernel
    starts = range(0, pixels, count)
    return [
        Band(at, weights[: min(count, pixels - at), : min(count, pixels - at) + len(kernel) - 1])
        for at in starts
    ]
