"""Assignment of the values of a large block to their places, from how alike they are alone.

`assignment` climbs by exchanges, which is good for the 48 values of a 4×4 block, and stops far off in one of 192 or
768. Here values are laid out as a self-organizing map lays out its samples, each place taking one of them. A
value is known by what it was in many blocks; a place expects what lies around it, smoothed over a few pixels, and the
values go where they are expected (`pairing`); then that again, smoothed over less and less.

1. Of the leading eigenvectors of the correlations (after the mean) two rise along the block's sides. So the values
   get pixels, three each; which two, and turned by what angle, is tried out.
2. What a value differs by from the brightness around it is colour. Its leading component tells red from blue, with
   green in between.
3. Each value gets a pixel and a channel, a pixel expecting brightness and, of a wider neighbourhood, colour.

Of all starts the one counts in which the values fit the usual correlations best. The result is right up to the views
of a block. What may remain is a vortex: rings of pixels turned by one or two against those within.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.pairing import cheapest

_ANGLES = 6
"""Of a quarter turn: a square looks the same after one."""
_PROMISING, _FOLLOWED = 6, 3
"""Starts of which the channels are looked at, and those that are followed to the end."""
_COARSE, _FINE = 4, 12
"""Rounds of the layout by pixels, and by pixels and channels."""
_FEATURES = 192
"""Components of the samples that are looked at, the largest ones."""
_BETWEEN_CHANNELS = np.array([[1.0, 0.95, 0.85], [0.95, 1.0, 0.95], [0.85, 0.95, 1.0]])


def places(correlations: np.ndarray, side: int) -> np.ndarray:
    """The place of each value of a block of side×side pixels and 3 channels, up to the views of a block.

    Args:
      correlations: float [d,d] of d = side·side·3 values, with ones on the diagonal.
      side: of the block, at least 2.

    Returns:
      int64 [d], in row, column, channel order; the same for the same correlations.
    """
    spread, vectors = np.linalg.eigh(correlations)
    spread, vectors = spread[::-1], vectors[:, ::-1]
    features = (vectors * np.sqrt(np.maximum(spread, 0)))[:, :_FEATURES].astype(np.float32)
    alike = correlations.astype(np.float32)
    roughly = np.linalg.inv(_usual(side) + np.eye(side * side))
    ranked = []
    for one, other in ((1, 2), (1, 3), (2, 3)):
        for angle in np.arange(_ANGLES) * np.pi / 2 / _ANGLES:
            x = np.cos(angle) * vectors[:, one] + np.sin(angle) * vectors[:, other]
            y = np.cos(angle) * vectors[:, other] - np.sin(angle) * vectors[:, one]
            ranked.append(_in_rank(x, y, side))
    ranked.sort(key=lambda pixel: _misfit(alike, pixel, roughly))
    usual = np.kron(_usual(side), _BETWEEN_CHANNELS)
    fits = np.linalg.inv(usual + 0.1 * np.eye(len(usual)))
    starts = [_with_channels(features, _pixels(features, pixel, side), side) for pixel in ranked[:_PROMISING]]
    starts.sort(key=lambda placed: _misfit(alike, placed, fits))
    ends = [_refined(features, placed, side) for placed in starts[:_FOLLOWED]]
    return min(ends, key=lambda placed: _misfit(alike, placed, fits))


def _usual(side: int) -> np.ndarray:
    """The correlations that are usual between the pixels of a block, float64 [side², side²]."""
    return np.asarray(np.exp(-0.08 * np.sqrt(_squared_distances(side)) ** 1.2))


def _squared_distances(side: int) -> np.ndarray:
    """Between the pixels of a block, float64 [side², side²]."""
    row, column = np.divmod(np.arange(side * side), side)
    return np.asarray((row[:, None] - row) ** 2.0 + (column[:, None] - column) ** 2)


def _misfit(alike: np.ndarray, placed: np.ndarray, fits: np.ndarray) -> float:
    """How unlikely correlations are if values are so placed, up to a constant."""
    return float((alike * fits[placed[:, None], placed]).sum())


def _in_rank(x: np.ndarray, y: np.ndarray, side: int) -> np.ndarray:
    """The pixel of each value (int64 [d]) by the rank of its coordinates, three values a pixel."""
    columns = np.argsort(x).reshape(side, -1)
    columns = np.take_along_axis(columns, np.argsort(y[columns], axis=1), axis=1)
    pixel = np.empty(len(x), np.int64)
    pixel[columns] = np.arange(side)[:, None] + side * (np.arange(3 * side) // 3)
    return pixel


def _pixels(features: np.ndarray, pixel: np.ndarray, side: int) -> np.ndarray:
    """The pixel of each value (int64 [d]), improved by looking at brightness."""
    for width in np.geomspace(side / 5, 0.6, _COARSE):
        expected = _smoothing(side, width) @ _brightness(features, pixel)
        pixel = cheapest(np.repeat(_squares(features, expected), 3, axis=1)) // 3
    return pixel


def _with_channels(features: np.ndarray, pixel: np.ndarray, side: int) -> np.ndarray:
    """The place of each value, from its pixel and its colour."""
    expected = _smoothing(side, 1.0) @ _brightness(features, pixel)
    apart = features - expected[pixel]
    colour = np.linalg.eigh(apart.T @ apart)[1][:, -1]
    by_channel = np.argsort(apart @ colour).reshape(3, -1)
    placed = np.empty(len(pixel), np.int64)
    for channel, values in enumerate(by_channel):
        plain = features[values] - apart[values].mean(axis=0)
        placed[values] = 3 * cheapest(_squares(plain, expected)) + channel
    return placed


def _refined(features: np.ndarray, placed: np.ndarray, side: int) -> np.ndarray:
    """Places improved by looking at brightness and colour."""
    for width in np.geomspace(side / 6, 0.5, _FINE):
        pixels = np.empty_like(features)
        pixels[placed] = features
        pixels = pixels.reshape(side * side, 3, -1)
        bright = pixels.mean(axis=1)
        colour = (pixels - bright[:, None]).reshape(side * side, -1)
        expected = (_smoothing(side, max(1.0, 2 * width)) @ colour).reshape(pixels.shape)
        expected = expected + (_smoothing(side, width) @ bright)[:, None]
        placed = cheapest(_squares(features, expected.reshape(features.shape)))
    return placed


def _smoothing(side: int, width: float) -> np.ndarray:
    """A Gaussian's weights between the pixels of a block, float32 [side², side²]."""
    weights = np.exp(-_squared_distances(side) / (2 * width**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _brightness(features: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """The mean of the three values of each pixel."""
    return np.asarray(
        features[np.argsort(pixel, kind="stable")].reshape(-1, 3, features.shape[1]).mean(axis=1)
    )


def _squares(values: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Squared distances between values and what is expected in each place, up to what is the same in a row."""
    return np.asarray((expected**2).sum(axis=1) - 2 * values @ expected.T)
