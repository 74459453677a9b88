"""Tables of brightness from ciphertexts alone, where a substitution differs by place but is the same in all images.

Neighbouring pixels are alike, whatever each place has been through. So the value that goes with byte v at place p can
be taken from its surroundings: the mean, over all images that have v at p, of what the other places show. That is an
equation for all tables at once, and iterating it from anything finds its strongest solution: first with the brightness
of the whole image as the surroundings (the first component of a multiple correspondence analysis of the bytes), then
with the pixels around. The result is monotone in the true value, but for its sign, which is the same everywhere;
spreading each table's ranks evenly makes it the value itself, or its negative, up to a monotone scale. Which of the two
is settled by a convention that the images decide, so that the same images under two keys give the same. NumPy alone.
"""

from __future__ import annotations

import numpy as np

MOST_VALUES = 1 << 26
"""Bytes of images beyond which more take too much memory."""
MOST_IMAGES = 1 << 14
"""Images beyond which more change nothing."""
_PRIOR = 20.0
"""Images of mean surroundings that each mean starts with: what is rarely seen is not trusted."""
_ROUNDS = 12
_SETTLED = 0.9995
"""Correlation of one round's brightness with the last one's at which it is taken as converged."""
_BATCH = 512


def brightness_tables(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tables of the brightness that every byte stands for at its place.

    Args:
      images: uint8 [N, H, W, C, S], ciphertexts; S readings of each pixel, of which for each place the one that goes
        best with its surroundings is taken. Some thousand are needed: each table has 256 means to take.

    Returns:
      Which reading each place uses, int32 [H W C]; the tables, float32 [H W C, 256], -1..1.
    """
    count, height, width, channels, readings = images.shape
    flat = _Bytes(images.reshape(count, -1))
    brightness = np.random.default_rng(0).standard_normal((count,)).astype(np.float32)
    for _ in range(_ROUNDS):
        brightness = (brightness - brightness.mean()) / max(float(brightness.std()), 1e-6)
        tables = flat.means(brightness[:, None])
        updated = flat.look_up(tables).sum(axis=1)
        agreement = np.corrcoef(brightness, updated)[0, 1]
        brightness = updated
        if agreement > _SETTLED:
            break
    strength = ((tables**2) * flat.counts).sum(axis=1).reshape(-1, readings)
    chosen = strength.argmax(axis=1)
    places = np.arange(len(chosen))
    tables = tables.reshape(-1, readings, 256)[places, chosen]
    if readings > 1:
        flat = _Bytes(images.reshape(count, -1, readings)[:, places, chosen])
    for _ in range(_ROUNDS):
        values = flat.look_up(tables).reshape(count, height, width, channels)
        around = _surroundings(values).reshape(count, -1)
        tables = flat.means((around - around.mean(axis=0)) / (around.std(axis=0) + 1e-6))
    tables = _spread(tables, flat.counts)
    means = flat.look_up(tables).mean(axis=1, dtype=np.float64)
    skewness = ((means - means.mean()) ** 3).mean()
    return chosen.astype(np.int32), -tables if skewness < 0 else tables


class _Bytes:
    """Bytes uint8 [N, P] of N images at P places, for looking them up in tables [P, 256] and for making such tables.

    Attributes:
      counts: how often each byte occurs at each place, float64 [P, 256].
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self._places = np.arange(values.shape[1], dtype=np.int64) * 256
        self.counts = self._sums(None)

    def means(self, targets: np.ndarray) -> np.ndarray:
        """For each place and byte the mean target, float32 [P, 256]; targets are float [N, P] or [N, 1], of mean 0."""
        return (self._sums(targets) / (self.counts + _PRIOR)).astype(np.float32)

    def look_up(self, tables: np.ndarray) -> np.ndarray:
        """Each byte's value in the table of its place, float32 [N, P]."""
        out = np.empty(self._values.shape, np.float32)
        for part in self._parts():
            out[part] = tables.reshape(-1)[self._values[part] + self._places]
        return out

    def _sums(self, targets: np.ndarray | None) -> np.ndarray:
        """For each place and byte the sum of the targets, or the count: float64 [P, 256]."""
        size = self._values.shape[1] * 256
        sums = np.zeros(size)
        for part in self._parts():
            cells = self._values[part] + self._places
            weights = None if targets is None else np.broadcast_to(targets[part], cells.shape).ravel()
            sums += np.bincount(cells.ravel(), weights, size)
        return sums.reshape(-1, 256)

    def _parts(self) -> list[slice]:
        """Images in groups small enough for the temporary arrays."""
        return [slice(at, at + _BATCH) for at in range(0, len(self._values), _BATCH)]


def _surroundings(values: np.ndarray) -> np.ndarray:
    """The sum over all channels of the 3×3 pixels around each place, itself left out: float32 [N, H, W, C]."""
    height, width = values.shape[1:3]
    grey = np.pad(values.sum(axis=-1, keepdims=True), ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    around = sum(grey[:, y : y + height, x : x + width] for y in range(3) for x in range(3))
    return np.asarray(around - values, np.float32)


def _spread(tables: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Each table's values replaced by their ranks among the images, from -1 to 1."""
    order = np.argsort(tables, axis=1)
    ordered = np.take_along_axis(counts, order, axis=1)
    middle = np.cumsum(ordered, axis=1) - ordered / 2
    out = np.empty_like(tables)
    np.put_along_axis(
        out, order, (2 * middle / counts.sum(axis=1, keepdims=True) - 1).astype(np.float32), axis=1
    )
    return out
