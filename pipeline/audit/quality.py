"""Quality of a reconstruction, by the usual measures of image similarity."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from lpe.transforms.extras import require

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
      exact_reduced: fraction of the bytes of reduced images that are right; None where that is not what was estimated.
    """

    mae: float
    psnr: float
    ssim: float
    exact: float
    agreement: float | None = None
    exact_reduced: float | None = None

    def to_json(self) -> dict[str, float]:
        """The figures, rounded, without what was not measured."""
        return {
            name: round(value, 4) for name, value in dataclasses.asdict(self).items() if value is not None
        }


def measure(estimate: np.ndarray, plain: np.ndarray, agreement: float | None = None) -> Quality:
    """Compares estimates with the images, both uint8 [N, H, W, C].

    Raises:
      UsageError: scikit-image is not installed.
    """
    absolute = squares = 0
    for one, other in zip(estimate, plain, strict=True):
        difference = one.astype(np.int32) - other
        absolute += int(np.abs(difference).sum())
        squares += int((difference * difference).sum(dtype=np.int64))
    mean = squares / plain.size
    return Quality(
        mae=absolute / plain.size,
        psnr=MAX_PSNR if squares == 0 else min(MAX_PSNR, 10 * math.log10(255**2 / mean)),
        ssim=_ssim(estimate, plain),
        exact=float((estimate == plain).mean()),
        agreement=agreement,
    )


def _ssim(estimate: np.ndarray, plain: np.ndarray) -> float:
    metrics = require("skimage.metrics", "audit")
    # Windows of 7×7 as usual, smaller for images that do not hold one.
    side = min(7, *plain.shape[1:3])
    side -= 1 - side % 2
    if side < 3:
        return float((estimate == plain).mean())
    values = [
        metrics.structural_similarity(one, other, channel_axis=-1, data_range=255, win_size=side)
        for one, other in zip(estimate, plain, strict=True)
    ]
    return float(np.mean(values))
