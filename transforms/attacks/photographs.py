"""Statistics that photographs share: enough to choose the right one of 96 views of a dataset.

Ciphertexts alone leave open whether a whole dataset is turned or mirrored, its channels exchanged, or all
of it negative. Statistics that most collections of photographs share decide that: green lies between red
and blue; red is brighter than blue on the whole, and green than their mean; dark pixels are the more common;
saturated reds and yellows outdo blues; the top is brighter and bluer than the bottom; left and right are
alike. So a mirror image left to right cannot be told from the original, and is right half of the time.
"""

from __future__ import annotations

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
"""Of `_features`, as common photographs have them (CIFAR-10; its channel means are close to ImageNet's)."""


def view(images: np.ndarray, which: View) -> np.ndarray:
    """A view of uint8 [N,H,W,3]: turned, mirrored, with channels exchanged, inverted."""
    square, order, negative = which
    turned = np.rot90(images, square % 4, axes=(1, 2))
    if square >= 4:
        turned = turned[:, ::-1]
    return turned[..., ORDERS[order]] ^ np.uint8(255 * negative)


def all_views(image_shape: ImageShape) -> list[View]:
    """The 96 views, or the 48 that keep an oblong image's shape."""
    squares = [s for s in range(8) if image_shape[0] == image_shape[1] or s % 2 == 0]
    return list(itertools.product(squares, range(6), range(2)))


def likeliest(images: np.ndarray, views: Iterable[View]) -> View:
    """The view of uint8 [N,H,W,3] in which they are most like photographs."""
    few = images[: max(1, _PIXELS // (images.shape[1] * images.shape[2]))]
    return max(views, key=lambda which: -((_features(view(few, which)) - _USUAL) ** 2 / _SPREAD**2).sum())


def _features(images: np.ndarray) -> np.ndarray:
    """The eight statistics of uint8 [N,H,W,3], float64 [8], in grey levels where they are no ratios."""
    red, green, blue = images.astype(np.float32).transpose(3, 0, 1, 2)
    light, warmth = (red + green + blue) / 3, red - blue
    height, width = light.shape[1:]
    up = np.linspace(1, -1, height, dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, width, dtype=np.float32)
    between = (red - green).var() + (green - blue).var()
    return np.array(
        [
            warmth.var() / max(between, 1e-6),
            (red + blue - 2 * green).mean(),
            warmth.mean(),
            _skewness(light - light.mean()),
            _skewness(warmth),
            (light * up).mean(),
            (-warmth * up).mean(),
            (light * right).mean(),
        ]
    )


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
