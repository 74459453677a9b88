"""Linear maps of an image's rows and columns by integer weights, whose sums are exact on any machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lpe.transforms.image_shape import ImageShape

_CHUNK_VALUES = 1 << 19
_ONE_THREAD = 1 << 18
"""Multiplications in a product of matrices that OpenBLAS leaves to one thread: jobs have a process a core as it is."""
BAND = 32
"""How many means a band has, at most: few enough that its weights are mostly not 0."""


@dataclasses.dataclass(frozen=True)
class Band:
    """Weights of consecutive means, each of a few consecutive pixels.

    Attributes:
      first: the first pixel that has a weight.
      weights: of the pixels from there on in each mean, whole numbers of 0 or more as float64 [means, pixels].
    """

    first: int
    weights: np.ndarray


def weighted_means(
    images: np.ndarray, shape: ImageShape, rows: Sequence[Band], columns: Sequence[Band]
) -> np.ndarray:
    """Weighted means over rows, then over columns, rounded half up.

    Sums of integers below 2^53 are exact in float64 in whatever order they are added.

    Args:
      images: uint8 [N, H, W, C].
      shape: (H', W', C), how many means there are.
      rows: of the H' means over rows, in order; the weights of each mean sum up to R.
      columns: likewise of the W' means over columns, to S; R·S at most 2^44.

    Returns:
      uint8 [N, H', W', C].
    """
    total = float(rows[0].weights[0].sum() * columns[0].weights[0].sum())
    height, width, channels = shape
    out = np.empty((len(images), *shape), np.uint8)
    count = max(1, _CHUNK_VALUES // max(1, images[:1].size))
    for start in range(0, len(images), count):
        part = images[start : start + count]
        n, lines = len(part), images.shape[2]
        sums = _sums(part.reshape(n, images.shape[1], lines * channels), rows, height)
        turned = sums.reshape(n, height, lines, channels).transpose(0, 2, 1, 3)
        sums = _sums(turned.reshape(n, lines, height * channels), columns, width)
        sums += total / 2
        sums /= total
        means = sums.astype(np.uint8).reshape(n, width, height, channels)
        out[start : start + n] = means.transpose(0, 2, 1, 3)
    return out


def _sums(values: np.ndarray, bands: Sequence[Band], means: int) -> np.ndarray:
    """Weighted sums over the middle axis of [N, pixels, K], float64 [N, means, K]."""
    values = values.astype(np.float64, copy=False)
    out = np.empty((len(values), means, values.shape[2]))
    at = 0
    for band in bands:
        count, pixels = band.weights.shape
        read, written = values[:, band.first : band.first + pixels], out[:, at : at + count]
        width = max(1, _ONE_THREAD // band.weights.size)
        for side in range(0, values.shape[2], width):
            part = slice(side, side + width)
            np.matmul(band.weights, read[:, :, part], out=written[:, :, part])
        at += count
    return out
