"""What no attack on Gaussian noise can exceed: the Bayesian Cramér-Rao (van Trees) bound.

For y = x + σn the error of an unbiased estimate is σ² at least. That says little: whoever knows what images look like
does much better. With prior information J on x every estimate has a mean squared error of at least
tr((J + I/σ²)⁻¹) per image (van Trees 1968). For a Gaussian prior J is the inverse Σ⁻¹ of its covariance; of all priors
of a covariance the Gaussian one tells least, so that for images, which are not Gaussian, it would not bound anything.
So the prior here is a mixture: patches of one contrast are Gaussian, and the attacker is told the contrast of each,
which can only help. The error is that of the pixels in the middle, which the rest of the patch helps to tell.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from lpe.transforms.attacks.linear import with_mirrored
from lpe.transforms.reductions import Chain
from lpe.transforms.reductions.noise import Noise

_SIDE = 12
"""Of a patch, in pixels, at most."""
_MIDDLE = 4
"""Of its middle, where the error is taken."""
_CLASSES = 8
"""Of contrast, equally many patches each."""
_PATCHES = 24_000
ASSUMPTIONS = (
    "Bayesian Cramér-Rao bound (van Trees) with a prior estimated from the public images: patches of one of "
    f"{_CLASSES} classes of contrast are Gaussian, the attacker is told which; pixels beyond {_SIDE}×{_SIDE} do "
    "not help; that pixels lie in 0..255 does not help, and noise that was cut there tells no more"
)


@dataclasses.dataclass(frozen=True)
class Bound:
    """A limit of what can be restored, by any attack.

    Attributes:
      psnr_at_most: in dB.
      assumptions: under which it holds, in words.
    """

    psnr_at_most: float
    assumptions: str = ASSUMPTIONS

    def to_json(self) -> dict[str, float | str]:
        """Its part of report.json."""
        return {"psnr_at_most": round(self.psnr_at_most, 2), "assumptions": self.assumptions}


def bound(reduction: Chain, public: np.ndarray) -> Bound | None:
    """The bound for images that noise is added to first; what is done to them after that tells no more.

    Args:
      reduction: what was done to the images.
      public: images like them, uint8 [N, H, W, C].

    Returns:
      None where it begins with something else than noise, or there are too few public images.
    """
    variance = 0.0
    for step in reduction.steps:
        if not isinstance(step, Noise):
            break
        variance += step.sd**2
    patches = _patches(with_mirrored(public)) if variance else np.zeros((0, 1, 1, 1), np.float32)
    values = patches[0].size if len(patches) else 1
    if len(patches) < 4 * _CLASSES * values:
        return None
    light = patches - patches.mean(axis=(1, 2), keepdims=True)
    order = np.argsort((light**2).mean(axis=(1, 2, 3)))
    errors = [
        _error(patches[part].reshape(len(part), -1), variance, _middle(patches.shape[1:]))
        for part in np.array_split(order, _CLASSES)
    ]
    return Bound(10 * math.log10(255**2 / float(np.mean(errors))))


def _patches(images: np.ndarray) -> np.ndarray:
    """Patches from all over the images, float32 [M, side, side, C]."""
    count, height, width, _ = images.shape
    side = min(_SIDE, height, width)
    places = np.random.default_rng(0)
    which = places.integers(count, size=_PATCHES)
    top = places.integers(height - side + 1, size=_PATCHES)
    left = places.integers(width - side + 1, size=_PATCHES)
    across = np.arange(side)
    rows, columns = top[:, None, None] + across[:, None], left[:, None, None] + across
    return images[which[:, None, None], rows, columns].astype(np.float32)


def _middle(shape: tuple[int, ...]) -> np.ndarray:
    """Which values of a patch are in its middle, bool [values]."""
    wanted = np.zeros(shape, bool)
    around = max(0, (shape[0] - _MIDDLE) // 2)
    wanted[around : around + _MIDDLE, around : around + _MIDDLE] = True
    return wanted.ravel()


def _error(patches: np.ndarray, variance: float, wanted: np.ndarray) -> float:
    """The least mean squared error of the wanted values of Gaussian patches, float32 [M, values], under noise."""
    apart = patches - patches.mean(axis=0)
    covariance = (apart.T @ apart).astype(np.float64) / len(apart)
    spread, axes = np.linalg.eigh(covariance)
    spread = np.maximum(spread, 0)
    # (Σ⁻¹ + I/σ²)⁻¹ on the axes of Σ, of which it may have none in some directions.
    left = spread * variance / (spread + variance)
    return float(((axes**2) @ left)[wanted].mean())
