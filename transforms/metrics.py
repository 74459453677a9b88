"""How random images look, and how far a small change spreads: the statistics that papers report.

They are necessary, not sufficient: a scheme can pass them all and be broken in seconds.
All functions take uint8 [N, H, W, C] and return one mean over the images.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Direction = Literal["horizontal", "vertical", "diagonal"]


def entropy(images: np.ndarray) -> float:
    """Shannon entropy of an image's bytes, in bits; 8 at most, and about 7.94 for 3,072 random bytes."""
    p = _histograms(images) / images[0].size
    # 0·log 0 is 0.
    return float(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1).mean())


def chi_square(images: np.ndarray) -> float:
    """χ² of an image's histogram against the uniform one; about 255 for random bytes."""
    expected = images[0].size / 256
    return float((((_histograms(images) - expected) ** 2) / expected).sum(axis=1).mean())


def correlation(images: np.ndarray, direction: Direction) -> float:
    """Pearson's correlation of neighbouring pixels of a channel, in [−1, 1]; 0 for random bytes.

    An image of one constant value counts as 1. NaN for images too small to have such neighbours.
    """
    here, there = {
        "horizontal": (images[:, :, :-1], images[:, :, 1:]),
        "vertical": (images[:, :-1], images[:, 1:]),
        "diagonal": (images[:, :-1, :-1], images[:, 1:, 1:]),
    }[direction]
    if not here.size:
        return float("nan")
    a = here.reshape(len(here), -1).astype(np.float64)
    b = there.reshape(len(there), -1).astype(np.float64)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return float(np.where(spread > 0, (a * b).sum(axis=1) / np.where(spread > 0, spread, 1.0), 1.0).mean())


def npcr(first: np.ndarray, second: np.ndarray) -> float:
    """Number of pixels change rate: the share of bytes that differ, in percent; 99.61 for random bytes."""
    return float((first != second).mean() * 100)


def uaci(first: np.ndarray, second: np.ndarray) -> float:
    """Unified average changing intensity: mean |difference| / 255, in percent; 33.46 for random bytes."""
    return float(np.abs(first.astype(np.int16) - second).mean() / 255 * 100)


def _histograms(images: np.ndarray) -> np.ndarray:
    """int64 [N, 256]: how often each byte value occurs in each image."""
    flat = images.reshape(len(images), -1).astype(np.int64)
    shifted = flat + 256 * np.arange(len(images))[:, None]
    return np.bincount(shifted.reshape(-1), minlength=256 * len(images)).reshape(len(images), 256)
