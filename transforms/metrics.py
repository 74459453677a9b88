"""Statistics that papers report of ciphertexts: how random they look, and how far a small change spreads.

They are necessary, not sufficient: a scheme can pass them all and be broken in seconds. All functions take
uint8 [N, H, W, C], N at least 1, and return one mean over the images. The values named for random bytes are
expectations for independent and uniform ones. NPCR and UACI are those of Wu, Noonan and Agaian, "NPCR and UACI
Randomness Tests for Image Encryption" (2011).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Direction = Literal["horizontal", "vertical", "diagonal"]
"""Where the neighbour of a pixel lies: to its right, below it, or both."""


def entropy(images: np.ndarray) -> float:
    """Shannon entropy of an image's bytes, in bits a byte: 0 to 8, and about 7.94 for 3,072 random bytes."""
    p = _histograms(images) / images[0].size
    # 0·log 0 is 0.
    return float(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1).mean())


def chi_square(images: np.ndarray) -> float:
    """χ² of an image's histogram against the uniform one: 0 or more, and about 255 for random bytes."""
    expected = images[0].size / 256
    return float((((_histograms(images) - expected) ** 2) / expected).sum(axis=1).mean())


def correlation(images: np.ndarray, direction: Direction) -> float:
    """Pearson's correlation of neighbouring pixels of a channel: −1 to 1, and 0 for random bytes.

    Args:
      images: uint8 [N, H, W, C].
      direction: which neighbours are compared.

    Returns:
      The mean over the images. An image of one constant value counts as 1. NaN for images too small to have such
      neighbours.
    """
    pixels, neighbours = {
        "horizontal": (images[:, :, :-1], images[:, :, 1:]),
        "vertical": (images[:, :-1], images[:, 1:]),
        "diagonal": (images[:, :-1, :-1], images[:, 1:, 1:]),
    }[direction]
    if not pixels.size:
        return float("nan")
    a = pixels.reshape(len(pixels), -1).astype(np.float64)
    b = neighbours.reshape(len(neighbours), -1).astype(np.float64)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return float(np.where(spread > 0, (a * b).sum(axis=1) / np.where(spread > 0, spread, 1.0), 1.0).mean())


def npcr(first: np.ndarray, second: np.ndarray) -> float:
    """Number of pixels change rate: the share of bytes that differ, in percent; 99.61 for random bytes.

    Args:
      first: uint8 [N, H, W, C].
      second: as many images of the same shape.
    """
    return float((first != second).mean() * 100)


def uaci(first: np.ndarray, second: np.ndarray) -> float:
    """Unified average changing intensity: mean |difference| / 255, in percent; 33.46 for random bytes.

    Args:
      first: uint8 [N, H, W, C].
      second: as many images of the same shape.
    """
    return float(np.abs(first.astype(np.int16) - second).mean() / 255 * 100)


def _histograms(images: np.ndarray) -> np.ndarray:
    """int64 [N, 256]: how often each byte value occurs in each image."""
    flat = images.reshape(len(images), -1).astype(np.int64)
    shifted = flat + 256 * np.arange(len(images))[:, None]
    return np.bincount(shifted.reshape(-1), minlength=256 * len(images)).reshape(len(images), 256)
