"""Ciphertexts under one key: of each position's possible keys, the one that makes all images smooth.

A position has one function in all images. Decoded with the right one, its bytes lie near those around them in
every image; with a wrong one they do so by chance. So, in turns: take the median of each pixel's neighbours as
they are decoded now, and choose for each position the candidate k with the least Σ |d_k − median| / b − ln prior,
the sum over all images (and channels that share the key), b = 16. Where half of the positions are untouched
(lpe, cpbe-50) that is where it starts from.

cpbe-100 leaves nothing untouched: there the first position is guessed to be 0 and the others follow from it in
raster order, each from its decoded neighbours. That is right up to one byte, the same for all positions, which
smoothness decides (a wrong one tears neighbouring values apart), all but negative and positive; see `photographs`.
"""

from __future__ import annotations

import numpy as np

from transforms.attacks import candidates, lpe_lanes, neighbours, photographs
from transforms.attacks.base import Attack, Evidence, Recovery, Target

_SPREAD = 16.0
_ROUNDS = 12
_PROBES = 150
"""Lanes that are looked at to find the byte that all positions share."""


class Smoothness(Attack):
    """A few ciphertexts for recognisable images, a few hundred for nearly all of the key.

    The recovered key, of lpe: `t` uint8 [H,W,P] of 0..127 and `linked` bool [H,W,P], see `lpe_lanes`; of cpbe:
    `t` uint8 [H,W,P]. P = 1 or C. Claimed where enough ciphertexts are there, and mostly right.
    """

    name = "smoothness"
    adversary = "ciphertext-only"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        return candidates.known_to_be_treated(target) and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        target = evidence.target
        found = candidates.of_ciphertexts(evidence.ciphertexts, target)
        if found.likeliest_first is None:
            choice = _from_one_corner(evidence.ciphertexts, target)
            estimate = found.decode(0) ^ choice
        else:
            estimate = found.likeliest_first
            choice = np.zeros(estimate.shape[1:], np.uint8)
        for _ in range(_ROUNDS):
            before = choice
            choice, estimate = _improve(found, estimate)
            if (choice == before).all():
                break
        if found.likeliest_first is None:
            choice = choice ^ _shared_byte(evidence.ciphertexts, choice, target)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return candidates.restore(ciphertexts, choice, target)

        if target.cipher.startswith("cpbe"):
            return Recovery(restore, {"t": candidates.cpbe_key(choice, target)})
        t, linked = candidates.lpe_key(choice, target)
        return Recovery(restore, {"t": t, "linked": linked})


def _improve(found: candidates.Candidates, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best candidate of each position (uint8 [H,W,P] or wider), and the lanes that it decodes to."""
    middle = neighbours.median(estimate)
    cost = np.stack(
        [
            neighbours.distance(found.decode(k), middle).sum(axis=0, dtype=np.int64) / _SPREAD - log_prior
            for k, log_prior in enumerate(found.log_prior)
        ]
    )
    choice = cost.argmin(axis=0)
    decoded = np.empty_like(estimate)
    for k in np.unique(choice):
        here = choice == k
        decoded[:, here] = found.decode(int(k))[:, here]
    return choice, decoded


def _from_one_corner(ciphertexts: np.ndarray, target: Target) -> np.ndarray:
    """XOR bytes relative to the first position's (uint8 [H,W,P]), each found from the decoded ones before it."""
    c = lpe_lanes.lanes(ciphertexts, target)
    height, width, planes = c.shape[1:]
    t = np.zeros((height, width, planes), np.uint8)
    decoded = np.zeros_like(c)
    every = np.arange(256, dtype=np.uint8)[:, None]
    for plane in range(planes):
        for y in range(height):
            for x in range(width):
                around = [decoded[:, v, u, plane] for v, u in _before(y, x, width)]
                if around:
                    guess = np.asarray(np.mean(around, axis=0, dtype=np.float32)).astype(np.uint8)
                elif plane:
                    guess = decoded[:, y, x, plane - 1]
                else:
                    guess = c[:, y, x, plane]
                tried = np.bitwise_xor(every, c[:, y, x, plane])
                t[y, x, plane] = neighbours.distance(tried, guess).sum(axis=1, dtype=np.int64).argmin()
                decoded[:, y, x, plane] = c[:, y, x, plane] ^ t[y, x, plane]
    return t ^ _smoothest(decoded)


def _before(y: int, x: int, width: int) -> list[tuple[int, int]]:
    """The neighbours that come before a position in raster order."""
    around = [(y, x - 1), (y - 1, x), (y - 1, x - 1), (y - 1, x + 1)]
    return [(v, u) for v, u in around if v >= 0 and 0 <= u < width]


def _smoothest(decoded: np.ndarray) -> np.uint8:
    """The byte that makes lanes smoothest if all of them are XORed with it; its complement is as good."""
    few = decoded[:: max(1, len(decoded) // _PROBES)]

    def roughness(byte: int) -> int:
        seen = few ^ np.uint8(byte)
        across = neighbours.distance(seen[:, :, 1:], seen[:, :, :-1]).sum(dtype=np.int64)
        return int(across + neighbours.distance(seen[:, 1:], seen[:, :-1]).sum(dtype=np.int64))

    return np.uint8(min(range(128), key=roughness))


def _shared_byte(ciphertexts: np.ndarray, choice: np.ndarray, target: Target) -> np.uint8:
    """The byte by which the whole key is still wrong: that of the smoothest images, positive rather than negative."""
    images = candidates.restore(ciphertexts, choice, target)
    byte = _smoothest(lpe_lanes.lanes(images, target))
    return byte ^ photographs.inverted(images ^ byte)
