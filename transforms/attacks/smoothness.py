"""Ciphertext-only attack on lpe and cpbe: of each position's possible keys, the one that makes all images smooth.

A position has one function in all images. Decoded with the right one, its bytes lie near those around them in
every image; with a wrong one they do so by chance. So, in turns: take the median of each pixel's neighbours as
they are decoded now, and choose for each position the candidate k with the least Σ |d_k − median| / b − ln prior,
the sum over all images (and channels that share the key), b = 16. Where half of the positions are untouched
(lpe, cpbe-50) that is where it starts from.

cpbe-100 leaves nothing untouched. But of neighbours p and q, c_p ⊕ c_q is p ⊕ q ⊕ (t_p ⊕ t_q), and p ⊕ q is mostly
one of a few bytes, whatever p is: 0, 1, 3, 7, 15, … So the XOR of two neighbours' keys is the byte d with the greatest
Σ ln P(c_p ⊕ c_q ⊕ d); `relations` puts these together. That is right up to one byte for all positions,
which smoothness decides (a wrong one tears neighbouring values apart), all but negative and positive; see
`photographs`. From there it goes on as above.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import candidates, lpe_lanes, neighbours, photographs, relations
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target

_SPREAD = 16.0
_ROUNDS = 12
_DIFFERENCE = 10.0
_PROBES = 150
"""Lanes that are looked at to find the byte that all positions share."""


class Smoothness(Attack):
    """A few ciphertexts for recognisable images, a few hundred for nearly all of the key.

    The recovered key, of lpe: `t` uint8 [H,W,P] of 0..127 and `linked` bool [H,W,P], see `lpe_lanes`; of cpbe:
    `t` uint8 [H,W,P]. P = 1 or C. It is claimed however few ciphertexts there are, and then partly wrong.
    """

    name = "smoothness"
    adversary = "ciphertext-only"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is lpe or cpbe, with one key for the dataset."""
        return candidates.applies_to(target) and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Chooses candidates in turns until nothing changes."""
        target = evidence.target
        functions = candidates.of_ciphertexts(evidence.ciphertexts, target)
        if functions.initial is None:
            choice = _from_pairs(evidence.ciphertexts, target)
            estimate = functions.decode(0) ^ choice
        else:
            estimate = functions.initial
            choice = np.zeros(estimate.shape[1:], np.uint8)
        for _ in range(_ROUNDS):
            before = choice
            choice, estimate = _improve(functions, estimate)
            if (choice == before).all():
                break
        if functions.initial is None:
            choice = choice ^ _shared_byte(evidence.ciphertexts, choice, target)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return candidates.restore(ciphertexts, choice, target)

        if target.cipher.startswith("cpbe"):
            return Recovery(restore, {"t": candidates.cpbe_key(choice, target)})
        t, linked = candidates.lpe_key(choice, target)
        return Recovery(restore, {"t": t, "linked": linked})


def _improve(functions: candidates.Candidates, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best candidate of each position (uint8 [H,W,P] or wider), and the lanes that it decodes to."""
    middle = neighbours.median(estimate)
    cost = np.stack(
        [
            neighbours.distance(functions.decode(k), middle).sum(axis=0, dtype=np.int64) / _SPREAD - log_prior
            for k, log_prior in enumerate(functions.log_prior)
        ]
    )
    choice = cost.argmin(axis=0)
    decoded = np.empty_like(estimate)
    for k in np.unique(choice):
        chosen = choice == k
        decoded[:, chosen] = functions.decode(int(k))[:, chosen]
    return choice, decoded


def _from_pairs(ciphertexts: np.ndarray, target: Target) -> np.ndarray:
    """XOR bytes, up to one of 0 and 255 for all of them (uint8 [H,W,P]), from pairs of neighbours."""
    c = lpe_lanes.lanes(ciphertexts, target)
    shape = c.shape[1:]
    t = relations.follow(shape, [_between(c, axis) for axis in range(3)])
    return t ^ _smoothest(c ^ t)


def _between(c: np.ndarray, axis: int) -> relations.Relation:
    """The likeliest XOR of each position's key and the next one's along an axis of [H,W,P]."""
    last = c.shape[axis + 1]
    apart = c.take(range(last - 1), axis=axis + 1) ^ c.take(range(1, last), axis=axis + 1)
    places = apart.reshape(len(c), -1)
    counts = np.zeros((places.shape[1], 256), np.float32)
    for lane in places:
        counts[np.arange(places.shape[1]), lane] += 1
    score = counts @ _LOG_P[np.arange(256)[:, None] ^ np.arange(256)]
    best = score.argmax(axis=1)
    top = np.partition(score, -2, axis=1)[:, -2:]
    return best.astype(np.uint8).reshape(apart.shape[1:]), (top[:, 1] - top[:, 0]).reshape(apart.shape[1:])


def _log_probabilities() -> np.ndarray:
    """Values ln P(p ⊕ q), float32 [256], of neighbours p and q whose difference is a Laplace variable of scale 10."""
    p, difference = np.arange(256)[:, None], np.arange(-80, 81)
    weight = np.broadcast_to(np.exp(-np.abs(difference) / _DIFFERENCE), (256, len(difference)))
    q = p + difference
    inside = (q >= 0) & (q < 256)
    counts = np.bincount((p ^ np.clip(q, 0, 255))[inside], weight[inside], minlength=256)
    return np.asarray(np.log((counts + 1e-3 * counts.sum() / 256) / counts.sum()), np.float32)


_LOG_P = _log_probabilities()


def _smoothest(decoded: np.ndarray) -> np.uint8:
    """The byte that makes lanes smoothest if all of them are XORed with it; its complement is as good."""
    few = decoded[:: max(1, len(decoded) // _PROBES)]

    def roughness(byte: int) -> int:
        shifted = few ^ np.uint8(byte)
        across = neighbours.distance(shifted[:, :, 1:], shifted[:, :, :-1]).sum(dtype=np.int64)
        return int(across + neighbours.distance(shifted[:, 1:], shifted[:, :-1]).sum(dtype=np.int64))

    return np.uint8(min(range(128), key=roughness))


def _shared_byte(ciphertexts: np.ndarray, choice: np.ndarray, target: Target) -> np.uint8:
    """The byte by which the whole key is still wrong: that of the smoothest images, positive rather than negative."""
    images = candidates.restore(ciphertexts, choice, target)
    byte = _smoothest(lpe_lanes.lanes(images, target))
    return byte ^ photographs.inverted(images ^ byte)
