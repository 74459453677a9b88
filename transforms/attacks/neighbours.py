"""Estimates of a pixel from those around it: that neighbours are alike is what all natural images have in common."""

from __future__ import annotations

import numpy as np

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def median(values: np.ndarray) -> np.ndarray:
    """The median of the up to 8 neighbours of each position, both uint8 [L,H,W,P]; edges are repeated."""
    height, width = values.shape[1:3]
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.stack([padded[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _AROUND], axis=0)
    around.partition((3, 4), axis=0)
    return np.asarray((around[3].astype(np.uint16) + around[4]) // 2, np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The distance |one − other| of uint8 arrays that broadcast, as uint8."""
    return np.asarray(np.where(one > other, one - other, other - one))
