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

from collections.abc import Iterator

import numpy as np

MOST_VALUES = 1 << 26
"""Bytes of images beyond which more take too much memory."""
MOST_IMAGES = 1 << 14
"""Images beyond which more change nothing."""
_PRIOR = 20.0
"""Images of mean surroundings that each mean starts with: what is rarely seen is not trusted."""
_ROUNDS = 12
_SETTLED = 0.9995
"""Correlation of one round's brightness, or tables, with the last one's at which they are taken as converged."""
_PLACES = 32


def brightness_tables(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tables of the brightness that every byte stands for at its place.

    Args:
      images: uint8 [N, H, W, C, S], ciphertexts; S readings of each pixel, of which for each place the one that goes
        best with its surroundings is taken. Some thousand are needed: each table has 256 means to take.

    Returns:
      Which reading each place uses, int32 [H W C]; the tables, float32 [H W C, 256], -1..1.
    """
    count, height, width, channels, readings = images.shape
    by_place = images.reshape(count, -1).T
    flat = _Bytes(by_place)
    brightness = np.random.default_rng(0).standard_normal((count,)).astype(np.float32)
    for _ in range(_ROUNDS):
        brightness = (brightness - brightness.mean()) / max(float(brightness.std()), 1e-6)
        tables = flat.means(brightness[None])
        updated = flat.look_up(tables).sum(axis=0)
        agreement = np.corrcoef(brightness, updated)[0, 1]
        brightness = updated
        if agreement > _SETTLED:
            break
    strength = ((tables**2) * flat.counts).sum(axis=1).reshape(-1, readings)
    chosen = strength.argmax(axis=1)
    places = np.arange(len(chosen))
    tables = tables.reshape(-1, readings, 256)[places, chosen]
    if readings > 1:
        flat = _Bytes(by_place[places * readings + chosen])
    for _ in range(_ROUNDS):
        around = _surroundings(flat.look_up(tables).reshape(height, width, channels, count)).reshape(
            -1, count
        )
        around -= around.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.einsum("pn,pn->p", around, around) / count)
        around /= deviation[:, None] + 1e-6
        updated_tables = flat.means(around)
        agreement = np.corrcoef(tables.ravel(), updated_tables.ravel())[0, 1]
        tables = updated_tables
        if agreement > _SETTLED:
            break
    tables = _spread(tables, flat.counts)
    means = flat.look_up(tables).mean(axis=0, dtype=np.float64)
    skewness = ((means - means.mean()) ** 3).mean()
    return chosen.astype(np.int32), -tables if skewness < 0 else tables


class _Bytes:
    """Bytes uint8 [P, N] of N images at P places, for looking them up in tables [P, 256] and for making such tables.

    Places come first: the table that a place's bytes are counted in stays in the processor's cache.

    Attributes:
      counts: how often each byte occurs at each place, float64 [P, 256].
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = np.ascontiguousarray(values)
        self.counts = self._sums(None)

    def means(self, targets: np.ndarray) -> np.ndarray:
        """For each place and byte the mean target, float32 [P, 256]; targets are float [P, N] or [1, N], of mean 0."""
        return (self._sums(targets) / (self.counts + _PRIOR)).astype(np.float32)

    def look_up(self, tables: np.ndarray) -> np.ndarray:
        """Each byte's value in the table of its place, float32 [P, N]."""
        out = np.empty(self._values.shape, np.float32)
        for part, cells in self._cells():
            np.take(tables[part].reshape(-1), cells, out=out[part], mode="clip")  # the others copy once more
        return out

    def _sums(self, targets: np.ndarray | None) -> np.ndarray:
        """For each place and byte the sum of the targets, or the count: float64 [P, 256]."""
        sums = np.empty((len(self._values), 256))
        for part, cells in self._cells():
            weights = None
            if targets is not None:
                weights = np.broadcast_to(
                    targets if len(targets) == 1 else targets[part], cells.shape
                ).ravel()
            sums[part] = np.bincount(cells.ravel(), weights, 256 * len(cells)).reshape(-1, 256)
        return sums

    def _cells(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Places in groups small enough for the cache, and the cell of each of their bytes in the group's tables."""
        for at in range(0, len(self._values), _PLACES):
            part = slice(at, at + _PLACES)
            values = self._values[part]
            yield part, values + np.arange(len(values), dtype=np.intp)[:, None] * 256


def _surroundings(values: np.ndarray) -> np.ndarray:
    """The sum over all channels of the 3×3 pixels around each place, itself left out: float32 [H, W, C, N]."""
    height, width = values.shape[:2]
    grey = np.pad(values.sum(axis=2, keepdims=True), ((1, 1), (1, 1), (0, 0), (0, 0)), "edge")
    rows = grey[:height] + grey[1 : height + 1] + grey[2:]
    around = rows[:, :width] + rows[:, 1 : width + 1] + rows[:, 2:]
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
