"""The ways of etc with a block: 8 turned or mirrored, times 6 orders of its channels, times inverted or not."""

from __future__ import annotations

import numpy as np

from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.colour import ORDERS


def arrangements(side: int = layout.BLOCK) -> np.ndarray:
    """Where a block's bytes come from, for each symmetry of the square and order of channels: int64 [8, 6, b·b·3].

    Symmetry s is s % 4 quarter turns, counter-clockwise, and then up-down if s ≥ 4.
    """
    block = np.arange(side**2 * 3).reshape(side, side, 3)
    turned = [np.rot90(block, turns) for turns in range(4)]
    squares = [*turned, *(square[::-1] for square in turned)]
    return np.array([[square[..., order].reshape(-1) for order in ORDERS] for square in squares])
