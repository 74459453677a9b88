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
_TILE = 1 << 17
"""Bytes whose candidates are compared at once: what that takes fits the processor's cache."""
_MOST_POSITIONS = 1 << 13
_SHORT = 64
"""With fewer lanes NumPy's loops are better run along the positions."""
_PLACES = 1 << 10
"""Places whose bytes are counted at once."""
_PROBED = 1 << 18
"""Bytes that are looked at to find the one that all positions share."""


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
        untouched = functions.untouched
        if untouched is None:
            choice = _smooth(functions, _from_pairs(evidence.ciphertexts, target))
            choice = choice ^ _shared_byte(evidence.ciphertexts, choice, target)
        else:
            choice = _smooth(functions, np.zeros(untouched.shape[1:], np.int64))

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return candidates.restore(ciphertexts, choice, target)

        if target.cipher.startswith("cpbe"):
            return Recovery(restore, {"t": candidates.cpbe_key(choice, target)})
        t, linked = candidates.lpe_key(choice, target)
        return Recovery(restore, {"t": t, "linked": linked})


def _smooth(functions: candidates.Candidates, choice: np.ndarray) -> np.ndarray:
    """Improves a choice of candidates (int [H,W,P]) in turns, until nothing changes."""
    shape = choice.shape
    lanes = _by_position(functions.lanes)
    untouched = lanes
    if functions.untouched is not None and functions.untouched is not functions.lanes:
        untouched = _by_position(functions.untouched)
    choice = choice.reshape(-1).astype(np.int64)
    estimate = _decoded(functions, lanes, untouched, choice)
    in_doubt = np.arange(len(choice))
    for _ in range(_ROUNDS):
        middle = neighbours.median(estimate.reshape(*shape, -1), axes=(0, 1)).reshape(estimate.shape)
        changed = np.zeros(len(choice), bool)
        for at in range(0, len(in_doubt), tile := max(1, min(_TILE // lanes.shape[1], _MOST_POSITIONS))):
            some = in_doubt[at : at + tile]
            better = _likeliest(functions, lanes[some], untouched[some], middle[some])
            changed[some] = better != choice[some]
            choice[some] = better
            estimate[some] = _decoded(functions, lanes[some], untouched[some], better)
        # Elsewhere the neighbours are as they were, and so is the choice.
        in_doubt = np.flatnonzero(_beside(changed.reshape(shape)))
        if not len(in_doubt):
            break
    return choice.reshape(shape)


def _by_position(lanes: np.ndarray) -> np.ndarray:
    """Lanes uint8 [L,H,W,P] as uint8 [H·W·P, L]."""
    return np.ascontiguousarray(lanes.transpose(1, 2, 3, 0)).reshape(-1, len(lanes))


def _decoded(
    functions: candidates.Candidates, lanes: np.ndarray, untouched: np.ndarray, choice: np.ndarray
) -> np.ndarray:
    """What lanes (uint8 [M,L]) were by the candidate that was chosen for each position (int64 [M])."""
    decoded = functions.decode(lanes, functions.t[choice][:, None])
    if untouched is not lanes:
        alone = choice == 0
        decoded[alone] = untouched[alone]
    return decoded


def _likeliest(
    functions: candidates.Candidates, lanes: np.ndarray, untouched: np.ndarray, middle: np.ndarray
) -> np.ndarray:
    """The candidate of each position whose lanes are nearest to the middle of their neighbours; int64 [M] of [M,L]."""
    along = 1
    if lanes.shape[1] < _SHORT:
        lanes, untouched, middle = (np.ascontiguousarray(each.T) for each in (lanes, untouched, middle))
        along = 0
    cost = np.empty((len(functions.t), lanes.shape[1 - along]), np.float32)
    decoded, least = np.empty_like(lanes), np.empty_like(lanes)
    for k, (t, log_prior) in enumerate(zip(functions.t, functions.log_prior, strict=True)):
        if k == 0:
            decoded[...] = functions.decode(lanes, t) if functions.untouched is None else untouched
        else:
            functions.decode(lanes, t, out=decoded)
        np.minimum(decoded, middle, out=least)
        np.maximum(decoded, middle, out=decoded)
        decoded -= least
        cost[k] = np.add.reduce(decoded, axis=along, dtype=np.uint32)
        cost[k] /= np.float32(_SPREAD)
        cost[k] -= np.float32(log_prior)
    return np.asarray(cost.argmin(axis=0))


def _beside(positions: np.ndarray) -> np.ndarray:
    """The positions that have one of these (bool [H,W,P]) among their neighbours, or are at the edge beside it."""
    out = positions.copy()
    height, width = positions.shape[:2]
    padded = np.pad(positions, ((1, 1), (1, 1), (0, 0)))
    for y, x in neighbours.AROUND:
        out |= padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]
    return out


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
    by_byte = _LOG_P[np.arange(256)[:, None] ^ np.arange(256)]
    best, sureness = np.empty(places.shape[1], np.uint8), np.empty(places.shape[1], np.float32)
    for at in range(0, places.shape[1], _PLACES):
        some = slice(at, at + _PLACES)
        at_place = places[:, some] + 256 * np.arange(places[:, some].shape[1])
        counts = np.bincount(at_place.reshape(-1), minlength=256 * at_place.shape[1]).astype(np.float32)
        score = counts.reshape(-1, 256) @ by_byte
        top = np.partition(score, -2, axis=1)[:, -2:]
        best[some], sureness[some] = score.argmax(axis=1), top[:, 1] - top[:, 0]
    return best.reshape(apart.shape[1:]), sureness.reshape(apart.shape[1:])


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
    few = decoded[:: max(1, decoded.size // _PROBED)]
    pairs = [(few[:, :, 1:], few[:, :, :-1]), (few[:, 1:], few[:, :-1])]
    together = np.zeros(1 << 16, np.int64)
    for one, other in pairs:
        together += np.bincount(one.astype(np.int64).reshape(-1) * 256 + other.reshape(-1), minlength=1 << 16)
    seen = np.flatnonzero(together)
    first, second = np.divmod(seen, 256)

    def roughness(byte: int) -> int:
        return int(np.abs((first ^ byte) - (second ^ byte)) @ together[seen])

    return np.uint8(min(range(128), key=roughness))


def _shared_byte(ciphertexts: np.ndarray, choice: np.ndarray, target: Target) -> np.uint8:
    """The byte by which the whole key is still wrong: that of the smoothest images, positive rather than negative."""
    images = candidates.restore(ciphertexts, choice, target)
    byte = _smoothest(lpe_lanes.lanes(images, target))
    return byte ^ photographs.inverted(images ^ byte)
