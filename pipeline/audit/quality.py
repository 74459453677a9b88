"""Quality of a reconstruction, by the usual measures of image similarity."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

_LIGHT, _CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""The constants by which SSIM stays finite where images are dark or flat."""
MAX_PSNR = 100.0
"""The PSNR, in dB, that is given for images that do not differ at all."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """Estimates of images, compared with the images.

    Attributes:
      mae: mean absolute error, 0..255.
      psnr: peak signal-to-noise ratio in dB, over all images together; at most `MAX_PSNR`.
      ssim: structural similarity (Wang et al. 2004), mean over images; 1 for equal ones.
      exact: fraction of bytes that are right.
      agreement: fraction of images that a classifier puts where it puts the original; None without one.
    """

    mae: float
    psnr: float
    ssim: float
    exact: float
    agreement: float | None = None

    def to_json(self) -> dict[str, float]:
        """The figures, rounded, without what was not measured."""
        return {
            name: round(value, 4) for name, value in dataclasses.asdict(self).items() if value is not None
        }


def measure(estimate: np.ndarray, plain: np.ndarray, agreement: float | None = None) -> Quality:
    """Compares estimates with the images, both uint8 [N, H, W, C]."""
    absolute, squares, alike = 0, 0, []
    for one, other in zip(estimate, plain, strict=True):
        difference = one.astype(np.int32) - other
        absolute += int(np.abs(difference).sum())
        squares += int((difference * difference).sum(dtype=np.int64))
        alike.append(_ssim(one, other))
    mean = squares / plain.size
    return Quality(
        mae=absolute / plain.size,
        psnr=MAX_PSNR if squares == 0 else min(MAX_PSNR, 10 * math.log10(255**2 / mean)),
        ssim=float(np.mean(alike)),
        exact=float((estimate == plain).mean()),
        agreement=agreement,
    )


def _ssim(estimate: np.ndarray, plain: np.ndarray) -> float:
    """Structural similarity of two images, uint8 [H, W, C], with the authors' constants and uniform windows."""
    # Windows of 7×7 as usual, smaller for images that do not hold one.
    side = min(7, *plain.shape[:2])
    side -= 1 - side % 2
    if side < 3:
        return float((estimate == plain).mean())
    x, y = estimate.astype(np.int32), plain.astype(np.int32)
    count = side * side
    sums = _window_sums(np.stack([x, y, x * x + y * y, x * y]), side)
    mean_x, mean_y, squares, products = sums / count
    # The sample's variances, added, and its covariance.
    variances = (squares - mean_x**2 - mean_y**2) * (count / (count - 1))
    covariance = (products - mean_x * mean_y) * (count / (count - 1))
    light = (2 * mean_x * mean_y + _LIGHT) / (mean_x**2 + mean_y**2 + _LIGHT)
    return float((light * (2 * covariance + _CONTRAST) / (variances + _CONTRAST)).mean())


def _window_sums(values: np.ndarray, side: int) -> np.ndarray:
    """The sums over all windows of side × side, int32 [K, H-side+1, W-side+1, C] of [K, H, W, C]."""
    for axis in (1, 2):
        last = values.shape[axis] - side + 1
        at = [values[(slice(None),) * axis + (slice(start, start + last),)] for start in range(side)]
        values = at[0].copy()
        for more in at[1:]:
            values += more
    return values
