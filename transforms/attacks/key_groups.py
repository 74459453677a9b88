"""Which key of a pool an image of pbe has, as its ciphertext shows.

Neighbours in a photograph lie on the same side of the middle, 127.5, nine times in ten. So whether two neighbours of a
ciphertext lie on the same side says whether both or none of the two are inverted, and most of these bits, some 8,000
in an image of 32×32, are the same in all images under one key; in two images under different keys half of them are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lpe.transforms.attacks.base import Target
from lpe.transforms.ciphers.registry import scheme

Restore = Callable[[np.ndarray], np.ndarray]
_BITS = 1 << 13
"""The most bits of an image that are looked at."""
_IMAGES_AT_ONCE = 256
_FIRST_IMAGES = 1 << 10
"""The most images that groups are sought among; more are put to the group that is nearest."""
_ROUNDS = 8
_CERTAIN = 5
"""Standard deviations by which images that have a key in common are more alike than chance allows."""


def pool(target: Target) -> int:
    """How many keys the images of a target are shared out among."""
    return scheme(target.cipher).pool(target.params)


def signs(inverted: np.ndarray) -> np.ndarray:
    """Whether neighbours are alike: int8 [N,B] of 1 and -1.

    Args:
      inverted: bool [N,H,W,C], on which side of the middle each byte lies.
    """
    apart = [
        (inverted.take(range(1, size), axis=axis) ^ inverted.take(range(size - 1), axis=axis)).reshape(
            len(inverted), -1
        )
        for axis, size in enumerate(inverted.shape[1:], start=1)
    ]
    bits = sum(each.shape[1] for each in apart)
    together = np.concatenate(apart, axis=1)
    if bits > _BITS:
        together = together[:, np.random.default_rng(0).choice(bits, _BITS, replace=False, shuffle=False)]
    return np.where(together, np.int8(-1), np.int8(1))


def signs_of(ciphertexts: np.ndarray) -> np.ndarray:
    """Whether neighbours are alike in uint8 [N,H,W,C]: int8 [N,B] of 1 and -1."""
    few = range(0, len(ciphertexts), _IMAGES_AT_ONCE)
    return np.concatenate([signs(ciphertexts[at : at + _IMAGES_AT_ONCE] > 127) for at in few])


def groups(features: np.ndarray, most: int) -> np.ndarray:
    """Centres of groups of images, one for each key: float32 [K,B], 1 ≤ K ≤ `most`.

    The image that is like the most others, and these, make the first group; that of the rest the next. Then, in turns,
    images are put to the nearest centre, and centres to the mean of their images.

    Args:
      features: int8 [N,B], N at least 1, as of `signs_of`.
      most: how many keys there are.
    """
    alike = _products(features[:_FIRST_IMAGES], features[:_FIRST_IMAGES].astype(np.float32))
    linked = alike > _CERTAIN * np.sqrt(max(1, features.shape[1]))
    np.fill_diagonal(linked, True)
    left = np.ones(len(linked), np.bool_)
    centres: list[np.ndarray] = []
    while left.any() and len(centres) < most:
        first = int(np.where(left, (linked & left).sum(axis=1), -1).argmax())
        found = linked[first] & left
        centres.append(features[:_FIRST_IMAGES][found].mean(axis=0, dtype=np.float32))
        left &= ~found
    which = None
    for _ in range(_ROUNDS):
        nearest = assign(features, np.stack(centres))
        if which is not None and (nearest == which).all():
            break
        which = nearest
        centres = [features[which == i].mean(axis=0, dtype=np.float32) for i in np.unique(which)]
    return np.stack(centres)


def assign(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest of some centres for each image, int64 [N]; `features` as of `signs_of`, centres [K,B]."""
    lengths = np.sqrt((centres.astype(np.float32) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(_products(features, centres / np.maximum(lengths, 1e-6)).argmax(axis=1))


def restoring(centres: np.ndarray, each: Sequence[Restore]) -> Restore:
    """A function that restores ciphertexts, each by the function of its group.

    Args:
      centres: of the groups, [K,B].
      each: what restores images of each group, K functions.
    """

    def restore(ciphertexts: np.ndarray) -> np.ndarray:
        out = np.empty_like(ciphertexts)
        if len(ciphertexts):
            which = assign(signs_of(ciphertexts), centres)
            for i in np.unique(which):
                out[which == i] = each[i](ciphertexts[which == i])
        return out

    return restore


def _products(features: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Scalar products of images and others, float32 [N,K]; the features of a few images at a time as float32."""
    columns = others.astype(np.float32).T
    few = range(0, len(features), _IMAGES_AT_ONCE)
    return np.concatenate([features[at : at + _IMAGES_AT_ONCE].astype(np.float32) @ columns for at in few])
