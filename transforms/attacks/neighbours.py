"""Estimates of a pixel from those around it: that neighbours are alike is what all natural images have in common."""

from __future__ import annotations

import numpy as np

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""The steps to a position's neighbours, in rows and columns."""
_SORT_FOUR = ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2))
"""Exchanges that put four values in order."""


def median(values: np.ndarray, axes: tuple[int, int] = (1, 2)) -> np.ndarray:
    """The median of the up to 8 neighbours of each position, both uint8; edges are repeated.

    Args:
      values: uint8 [L,H,W,P].
      axes: where H and W are, if elsewhere.
    """
    padded = np.pad(values, [(1, 1) if axis in axes else (0, 0) for axis in range(values.ndim)], mode="edge")
    around = []
    for steps in AROUND:
        at: list[slice] = [slice(None)] * values.ndim
        for axis, step in zip(axes, steps, strict=True):
            at[axis] = slice(1 + step, 1 + step + values.shape[axis])
        around.append(padded[tuple(at)])
    low, high = _sorted_four(around[:4]), _sorted_four(around[4:])
    # The four least of eight are the lesser of each pair, least against greatest; the four greatest the others.
    below, above = np.minimum(low[0], high[3]), np.maximum(low[0], high[3])
    for one, other in zip(low[1:], high[2::-1], strict=True):
        np.maximum(below, np.minimum(one, other), out=below)
        np.minimum(above, np.maximum(one, other), out=above)
    # Half their sum, which a byte would not hold.
    return np.asarray((below & above) + ((below ^ above) >> np.uint8(1)))


def _sorted_four(values: list[np.ndarray]) -> list[np.ndarray]:
    """Four arrays in order, element by element."""
    out = list(values)
    for i, j in _SORT_FOUR:
        out[i], out[j] = np.minimum(out[i], out[j]), np.maximum(out[i], out[j])
    return out


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The distance |one − other| of uint8 arrays that broadcast, as uint8."""
    return np.asarray(np.maximum(one, other) - np.minimum(one, other))
