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

import math

import numpy as np

from lpe.transforms.attacks import candidates, neighbours
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target

_SPREAD = 24.0
_ROUNDS = 15
_VALUES = 1 << 22
"""Bytes of images that are restored at once, at most."""
_TILE = 1 << 13
"""Positions whose candidates are weighed at once: what that takes fits the processor's cache."""


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
    estimate = functions.untouched
    assert estimate is not None
    lanes = _by_key(functions.lanes, len(ciphertexts))
    untouched = lanes if estimate is functions.lanes else _by_key(estimate, len(ciphertexts))
    shape = (len(lanes), len(ciphertexts), *estimate.shape[1:])
    now = untouched.copy()
    before = None
    for _ in range(_ROUNDS):
        middle = neighbours.median(now.reshape(shape), axes=(2, 3)).reshape(now.shape)
        # Where the neighbours are as they were, so is the mean.
        changed = (
            np.arange(now.shape[1]) if before is None else np.flatnonzero((middle != before).any(axis=0))
        )
        for at in range(0, len(changed), _TILE):
            some = changed[at : at + _TILE]
            now[:, some] = _means(functions, lanes[:, some], untouched[:, some], middle[:, some])
        before = middle
    return _images(now.reshape(shape).transpose(1, 0, 2, 3, 4).reshape(estimate.shape), target)


def _by_key(lanes: np.ndarray, images: int) -> np.ndarray:
    """Lanes uint8 [L,H,W,P] as uint8 [L/N, N·H·W·P], in whose columns are the bytes that share a key."""
    each = lanes.reshape(images, -1, *lanes.shape[1:])
    return np.ascontiguousarray(each.swapaxes(0, 1)).reshape(each.shape[1], -1)


def _means(
    functions: candidates.Candidates, lanes: np.ndarray, untouched: np.ndarray, middle: np.ndarray
) -> np.ndarray:
    """The weighted means of what all candidates decode, all uint8 [lanes that share a key, positions]."""
    decoded, least = np.empty_like(lanes), np.empty_like(lanes)
    apart = np.empty(lanes.shape[1], np.float32)
    part, total, mean = (
        np.empty(lanes.shape, np.float32),
        np.zeros_like(apart),
        np.zeros(lanes.shape, np.float32),
    )
    for k, (t, log_prior) in enumerate(zip(functions.t, functions.log_prior, strict=True)):
        if k == 0:
            decoded[...] = untouched
        else:
            functions.decode(lanes, t, out=decoded)
        np.minimum(decoded, middle, out=least)
        part[...] = np.maximum(decoded, middle) - least
        np.sum(part, axis=0, out=apart)
        apart *= np.float32(-1 / _SPREAD)
        weight = np.exp(apart, out=apart)
        weight *= np.float32(math.exp(log_prior))
        total += weight
        part[...] = decoded
        part *= weight
        mean += part
    mean /= total
    mean += np.float32(0.5)
    return mean.astype(np.uint8)


def _images(lanes: np.ndarray, target: Target) -> np.ndarray:
    """The inverse of `lpe_lanes.lanes`."""
    height, width, channels = target.image_shape
    if lanes.shape[3] == channels and target.params["channels"] == "independent":
        return lanes
    return lanes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
