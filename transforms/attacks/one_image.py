"""Ciphertext-only attack on single images of lpe and cpbe-50: no key, no training.

In half of the positions of lpe the plain byte stands there once the chain is undone, and everywhere its lowest
bit and at most 34 values that it could be. A pixel's neighbours say which of them are likely. With m the
median of the neighbours' estimates, a candidate that decodes a position's bytes to d has the weight

    prior · exp(−Σ |d − m| / b),    the sum over the channels that share the key, b = 24,

and the estimate is the weighted mean of all d: the mean-square-optimal one, were the model true. A few
rounds, and each round's m is better. It works the same with a fresh, perfectly random key for every image:
no better generator of keys helps.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import candidates, neighbours
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target

_SPREAD = 24.0
_ROUNDS = 15
_VALUES = 1 << 17
"""Bytes of images that are restored at once: weights take 500 times as much memory."""


class OneImage(Attack):
    """Restores each image from its own ciphertext; learns nothing, so that more of them do not help."""

    name = "one-image"
    adversary = "ciphertext-only"
    source = "ours"
    learns = False

    def applies_to(self, target: Target) -> bool:
        """Whether the target is lpe or cpbe-50, with one key for the dataset or one per image."""
        return candidates.applies_to(target) and target.cipher != "cpbe-100"

    def learn(self, evidence: Evidence) -> Recovery:
        """Learns nothing: the recovery looks at each image alone."""
        target = evidence.target
        count = max(1, _VALUES // int(np.prod(target.image_shape)))

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            parts = [ciphertexts[at : at + count] for at in range(0, len(ciphertexts), count)]
            return np.concatenate([_restore(part, target) for part in parts])

        return Recovery(restore)


def _restore(ciphertexts: np.ndarray, target: Target) -> np.ndarray:
    """The weighted mean of all candidates for each of uint8 [N,H,W,C]."""
    functions = candidates.of_ciphertexts(ciphertexts, target)
    estimate = functions.initial
    assert estimate is not None
    lanes = (len(ciphertexts), -1, *estimate.shape[1:])  # those of one image share a key
    for _ in range(_ROUNDS):
        middle = neighbours.median(estimate)
        fit = np.stack(
            [
                log_prior
                - neighbours.distance(functions.decode(k), middle).reshape(lanes).sum(axis=1) / _SPREAD
                for k, log_prior in enumerate(functions.log_prior)
            ],
            dtype=np.float32,
        )
        weights = np.exp(fit - fit.max(axis=0))
        weights /= weights.sum(axis=0)
        mean = np.zeros(
            (len(ciphertexts), estimate.shape[0] // len(ciphertexts), *estimate.shape[1:]), np.float32
        )
        for k, weight in enumerate(weights):
            mean += weight[:, None] * functions.decode(k).reshape(mean.shape)
        estimate = (mean + 0.5).astype(np.uint8).reshape(estimate.shape)
    return _images(estimate, target)


def _images(lanes: np.ndarray, target: Target) -> np.ndarray:
    """The inverse of `lpe_lanes.lanes`."""
    height, width, channels = target.image_shape
    if lanes.shape[3] == channels and target.params["channels"] == "independent":
        return lanes
    return lanes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
