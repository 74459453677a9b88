"""Linear maps of an image's rows and columns by integer weights, whose sums are exact on any machine."""

from __future__ import annotations

import numpy as np

_CHUNK_VALUES = 1 << 20


def weighted_means(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Weighted means over rows, then over columns, rounded half up.

    Sums of integers below 2^53 are exact in float64 in whatever order they are added.

    Args:
      images: uint8 [N, H, W, C].
      rows: weights, whole numbers of 0 or more as float64 [H', H], all rows of one sum R.
      columns: likewise [W', W], of sum S; R·S at most 2^44.

    Returns:
      uint8 [N, H', W', C].
    """
    total = float(rows[0].sum() * columns[0].sum())
    out = np.empty((len(images), len(rows), len(columns), images.shape[3]), np.uint8)
    count = max(1, _CHUNK_VALUES // max(1, images[:1].size))
    for start in range(0, len(images), count):
        part = images[start : start + count].astype(np.float64)
        sums = np.einsum("ah,nhwc->nawc", rows, part, optimize=True)
        sums = np.einsum("bw,nawc->nabc", columns, sums, optimize=True)
        out[start : start + count] = np.floor((sums + total / 2) / total)
    return out
