"""Statistics that photographs share: enough to choose the right one of 96 views of a dataset.

Ciphertexts alone leave open whether a whole dataset is turned or mirrored, its channels exchanged, or all
of it negative. Statistics that most collections of photographs share decide that: green lies between red
and blue; red is brighter than blue on the whole, and green than their mean; dark pixels are the more common;
saturated reds and yellows outdo blues; the top is brighter and bluer than the bottom; left and right are
alike. So a mirror image left to right cannot be told from the original, and is right half of the time.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np

from lpe.transforms.ciphers.colour import ORDERS
from lpe.transforms.image_shape import ImageShape

_PIXELS = 1 << 17
"""The most pixels that are looked at."""
View = tuple[int, int, int]
"""Symmetry of the square (0..7, as in `symmetries`), order of the channels (0..5), negative (0 or 1)."""

_USUAL = np.array([1.1, -7.0, 11.0, 0.25, 0.9, 4.0, 2.6, 0.0])
_SPREAD = np.array([0.2, 4.0, 6.0, 0.15, 0.5, 2.5, 1.5, 0.5])
"""Of the eight statistics, as common photographs have them (CIFAR-10; its channel means are close to ImageNet's)."""


def view(images: np.ndarray, which: View) -> np.ndarray:
    """A view of uint8 [N,H,W,3]: turned, mirrored, with channels exchanged, inverted."""
    square, order, negative = which
    return _turned(images, square)[..., ORDERS[order]] ^ np.uint8(255 * negative)


def _turned(images: np.ndarray, square: int) -> np.ndarray:
    """Images [N,H,W,...] turned, and mirrored."""
    turned = np.rot90(images, square % 4, axes=(1, 2))
    return turned[:, ::-1] if square >= 4 else turned


def all_views(image_shape: ImageShape) -> list[View]:
    """The 96 views, or the 48 that keep an oblong image's shape."""
    squares = [s for s in range(8) if image_shape[0] == image_shape[1] or s % 2 == 0]
    return list(itertools.product(squares, range(6), range(2)))


def likeliest(images: np.ndarray, views: Iterable[View]) -> View:
    """The view of uint8 [N,H,W,3] in which they are most like photographs."""
    few = images[: max(1, _PIXELS // (images.shape[1] * images.shape[2]))]
    statistics = _Statistics.of(few)
    return max(views, key=lambda which: -((statistics.seen_as(which) - _USUAL) ** 2 / _SPREAD**2).sum())


@dataclasses.dataclass(frozen=True)
class _Statistics:
    """Statistics of uint8 [N,H,W,3], from which those of all its views follow; in grey levels where they are no ratios.

    Attributes:
      skewed: the skewness of the light.
      slope: how the light rises upwards, and to the right, float64 [2].
      means, variances, skews: of channel i less channel j, each float64 [3,3].
      slopes: of the same, float64 [3,3,2].
    """

    skewed: float
    slope: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    skews: np.ndarray
    slopes: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray) -> _Statistics:
        """Those of uint8 [N,H,W,3]."""
        planes = np.ascontiguousarray(images.transpose(3, 0, 1, 2)).astype(np.float32)
        light = planes.mean(axis=0)
        means, variances, skews = np.zeros((3, 3, 3))
        slopes = np.zeros((3, 3, 2))
        for i, j in ((0, 1), (0, 2), (1, 2)):
            apart = planes[i] - planes[j]
            means[i, j], variances[i, j], skews[i, j] = apart.mean(), apart.var(), _skewness(apart)
            slopes[i, j] = _slope(apart)
            means[j, i], variances[j, i], skews[j, i] = -means[i, j], variances[i, j], -skews[i, j]
            slopes[j, i] = -slopes[i, j]
        return cls(_skewness(light - light.mean()), _slope(light), means, variances, skews, slopes)

    def seen_as(self, which: View) -> np.ndarray:
        """The eight statistics of a view, float64 [8]."""
        square, order, negative = which
        red, green, blue = ORDERS[order]
        sign = 1 - 2 * negative
        up, right = sign * _TURNED[square] @ self.slope
        warmth_up = sign * (_TURNED[square] @ self.slopes[red, blue])[0]
        between = self.variances[red, green] + self.variances[green, blue]
        return np.array(
            [
                self.variances[red, blue] / max(between, 1e-6),
                sign * (self.means[red, green] + self.means[blue, green]),
                sign * self.means[red, blue],
                sign * self.skewed,
                sign * self.skews[red, blue],
                up,
                -warmth_up,
                right,
            ]
        )


def _slope(values: np.ndarray) -> np.ndarray:
    """How values [N,H,W] rise upwards, and to the right: float64 [2]."""
    mean = values.mean(axis=0)
    up = np.linspace(1, -1, mean.shape[0], dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, mean.shape[1], dtype=np.float32)
    return np.array([(mean * up).mean(), (mean * right).mean()])


def _turned_slopes() -> np.ndarray:
    """What turns the slope of an image into that of its view, for each symmetry of the square: float64 [8,2,2]."""
    rising = np.array([[[1, 1], [-1, -1]], [[-1, 1], [-1, 1]]])  # upwards, to the right
    seen = [_turned(rising, square) for square in range(8)]
    return np.array([[[(one * other).mean() for one in each] for other in rising] for each in seen])


def _skewness(values: np.ndarray) -> float:
    """Third moment over the second to the power 3/2, about 0."""
    return float((values**3).mean() / max(float((values**2).mean()), 1e-6) ** 1.5)


def inverted(images: np.ndarray) -> np.uint8:
    """The byte to XOR with: 255 if uint8 [N,H,W,C] are more like negatives of photographs, else 0."""
    if images.shape[3] == 3:
        return np.uint8(255 * likeliest(images, [(0, 0, 0), (0, 0, 1)])[2])
    # Without colour: dark pixels are the more common, and the top is the brighter.
    light = images.astype(np.float32).mean(axis=3)
    up = np.linspace(1, -1, light.shape[1], dtype=np.float32)[:, None]
    positive = _skewness(light - light.mean()) / _SPREAD[3] + float((light * up).mean()) / _SPREAD[5]
    return np.uint8(0 if positive >= 0 else 255)


_TURNED = _turned_slopes()
