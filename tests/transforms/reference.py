"""The schemes written literally from the formulas, one pixel at a time; slow on purpose."""

from __future__ import annotations

import math

import numpy as np


def keystream(mu: float, d0: float, length: int) -> list[int]:
    """Equations 1 and 3."""
    d = d0
    out = []
    for _ in range(length):
        d = (mu * d) * (1.0 - d)
        out.append(math.floor(((d / 2.0) * 1e14) % 256))
    return out


def lpe(name: str, key, image: np.ndarray, chain: str, channels: str) -> np.ndarray:
    """Equations 2 and 4."""
    height, width, planes = image.shape
    n = height * width
    s = keystream(key.mu, key.d0, n * (planes if channels == "independent" else 1))
    out = np.zeros_like(image)
    for c in range(planes):
        first = c * n if channels == "independent" else 0
        before = 0
        for i in range(n):
            y, x = divmod(i, width)
            if chain == "row" and x == 0:
                before = 0
            p = int(image[y, x, c])
            if key.k[first + i]:
                value = s[first + i] ^ ((p + s[first + i]) % 256) ^ before
            elif name == "lpe-100":
                value = p ^ before
            else:
                value = p
            out[y, x, c] = before = value
    return out
