"""The 8 · 6 · 2 things that etc can do to a block: turn or mirror it, exchange channels, invert it."""

from __future__ import annotations

import numpy as np

from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.colour import ORDERS


def arrangements() -> np.ndarray:
    """int64 [8, 6, b·b·3]: for each symmetry of the square and order of channels, where bytes come from.

    Symmetry s is s % 4 quarter turns, counter-clockwise, and then up-down if s ≥ 4.
    """
    block = np.arange(layout.BLOCK**2 * 3).reshape(layout.BLOCK, layout.BLOCK, 3)
    turned = [np.rot90(block, turns) for turns in range(4)]
    squares = [*turned, *(square[::-1] for square in turned)]
    return np.array([[square[..., order].reshape(-1) for order in ORDERS] for square in squares])
