"""Ciphertext-only attack on pbe: which bytes are inverted shows in neighbours, which must be alike.

If a and b are neighbours and exactly one of them is inverted, then a and 255 − b are alike, else a and b. So

    w = Σ |a − (255 − b)| − |a − b|        over all images under the key

is positive where the two are inverted together, and |w| says how sure that is. Neighbours are those beside and
below, and the channels of a pixel; `relations` puts them together. Chang & Case's minimum-difference attack goes row
by row instead, so that one doubtful relation spoils all that come after it. What remains open is whether everything
is inverted, which is one bit; see `photographs`.

With colour=true each pixel's channels are in one of six orders besides. Decoded, all channels are alike already;
the order is chosen as the one that fits the neighbours' channels best, in turns until nothing changes, and the
order of all pixels together by what photographs are like. One image is too little for that: its grey
shape is found, its colours are not.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import key_groups, neighbours, photographs, relations
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.ciphers.colour import ORDERS

_ROUNDS = 8


class Negatives(Attack):
    """A few ciphertexts under one key. With a key per image, each image by itself: outlines.

    The recovered key, with one key for the dataset: `mask` uint8 [H,W,C] of 0 and 1; with colour=true by
    ciphertext channel, and `order` int64 [H,W,C], the ciphertext channel that each plain channel is.
    """

    name = "negatives"
    adversary = "ciphertext-only"
    source = "after Chang & Case's minimum-difference attack"
    leaves_open = "negative"  # of photographs it is settled

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe, with one key for the dataset or one per image; see `KeyPool` for pools of keys."""
        return target.cipher == "pbe" and key_groups.pool(target) == 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Solves all ciphertexts under one key together, or each by itself when it is restored."""
        shuffled = evidence.target.params["colour"] == "true"
        if evidence.target.scope == "image":
            return Recovery(
                lambda ciphertexts: np.concatenate([_solve(c[None], shuffled)[2] for c in ciphertexts])
            )
        mask, order, _ = _solve(evidence.ciphertexts, shuffled)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            upright = ciphertexts ^ (mask * np.uint8(255))
            return np.take_along_axis(upright, order[None], axis=3) if shuffled else upright

        return Recovery(restore, {"mask": mask, "order": order} if shuffled else {"mask": mask})


def _solve(ciphertexts: np.ndarray, shuffled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mask (uint8 [H,W,C]), order (int64 [H,W,C]), and the images that they make of the ciphertexts."""
    mask = _signs(ciphertexts)
    images = ciphertexts ^ (mask * np.uint8(255))
    order = np.broadcast_to(np.arange(images.shape[3]), images.shape[1:]).copy()
    if shuffled:
        order = _orders(images)
        images = np.take_along_axis(images, order[None], axis=3)
        views = [(0, which, negative) for which in range(6) for negative in range(2)]
        _, which, negative = photographs.likeliest(images, views)
        order, images = order[..., ORDERS[which]], images[..., ORDERS[which]]
    else:
        negative = int(photographs.inverted(images) != 0)
    return mask ^ np.uint8(negative), order, images ^ np.uint8(255 * negative)


def _signs(ciphertexts: np.ndarray) -> np.ndarray:
    """Which bytes are inverted, up to all of them: uint8 [H,W,C] of 0 and 1."""
    together = [_relation(ciphertexts, axis) for axis in range(3)]
    return relations.follow(ciphertexts.shape[1:], [((w < 0).astype(np.uint8), np.abs(w)) for w in together])


def _relation(images: np.ndarray, axis: int) -> np.ndarray:
    """The w of each position and the next along an axis of [H,W,C], int64."""
    last = images.shape[axis + 1]
    one = images.take(range(last - 1), axis=axis + 1)
    other = images.take(range(1, last), axis=axis + 1)
    apart = neighbours.distance(one, np.uint8(255) - other).sum(axis=0, dtype=np.int64)
    return np.asarray(apart - neighbours.distance(one, other).sum(axis=0, dtype=np.int64))


def _orders(images: np.ndarray) -> np.ndarray:
    """The order of each pixel's channels that fits its neighbours', up to one order of all: int64 [H,W,3]."""
    height, width = images.shape[1:3]
    order = np.zeros((height, width), np.int64)
    placed = np.zeros_like(images)
    for y in range(height):
        for x in range(width):
            pixel = images[:, y, x][:, ORDERS]  # [N,6,3]
            around = [placed[:, v, u] for v, u in ((y, x - 1), (y - 1, x)) if v >= 0 and u >= 0]
            if around:
                guess = np.asarray(np.mean(around, axis=0, dtype=np.float32)).astype(np.uint8)[:, None]
                order[y, x] = neighbours.distance(pixel, guess).sum(axis=(0, 2), dtype=np.int64).argmin()
            placed[:, y, x] = pixel[:, order[y, x]]
    for _ in range(_ROUNDS):
        middle = neighbours.median(placed)
        cost = [
            neighbours.distance(images[..., channels], middle).sum(axis=(0, 3), dtype=np.int64)
            for channels in ORDERS
        ]
        better = np.argmin(cost, axis=0)
        if (better == order).all():
            break
        order = better
        placed = np.take_along_axis(images, ORDERS[order][None], axis=3)
    return ORDERS[order]
