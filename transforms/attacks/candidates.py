"""The keys that a position may have, as functions that decode its bytes, for schemes that treat each pixel by itself.

lpe, without its chain (`lpe_lanes`): untouched with probability 1/2, else one of 128 functions g_t.
cpbe: XOR with one of 256 bytes; cpbe-50 leaves half of the positions untouched.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from lpe.transforms.attacks import lpe_lanes
from lpe.transforms.attacks.base import Target

_HALF = math.log(0.5)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The functions that each position of some lanes (see `lpe_lanes`) may have gone through.

    Attributes:
      log_prior: float64 [K], how likely each is before anything is seen.
      t: uint8 [K], the t of each.
      subtracts: whether a function is p -> t ⊕ ((p + t) mod 256), else p -> t ⊕ p.
      lanes: what came out of the functions, uint8 [L,H,W,P].
      untouched: what candidate 0 leaves in the lanes, uint8 [L,H,W,P]: a first estimate; None if no candidate is
        likelier than others. The same array as `lanes`, unless a position that is left alone is not linked either.
    """

    log_prior: np.ndarray
    t: np.ndarray
    subtracts: bool
    lanes: np.ndarray
    untouched: np.ndarray | None

    def decode(self, lanes: np.ndarray, t: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """What some of the lanes were before the functions of these t (uint8, broadcast)."""
        decoded: np.ndarray = np.bitwise_xor(lanes, t, out=out)
        if self.subtracts:
            decoded -= t
        return decoded


def applies_to(target: Target) -> bool:
    """Whether there are candidates for this scheme."""
    return target.cipher in {"lpe-50", "lpe-100", "cpbe-50", "cpbe-100"}


def of_ciphertexts(ciphertexts: np.ndarray, target: Target) -> Candidates:
    """The candidates for uint8 [N,H,W,C]."""
    c = lpe_lanes.lanes(ciphertexts, target)
    if target.cipher == "cpbe-100":
        return Candidates(np.full(256, -math.log(256)), np.arange(256, dtype=np.uint8), False, c, None)
    others = 256 if target.cipher == "cpbe-50" else 128
    t = np.concatenate([[0], np.arange(others)]).astype(np.uint8)
    if target.cipher == "cpbe-50":
        return Candidates(_half_untouched(others), t, False, c, c)
    e: np.ndarray = c ^ lpe_lanes.before(c, target)
    return Candidates(_half_untouched(others), t, True, e, c if target.cipher == "lpe-50" else e)


def restore(ciphertexts: np.ndarray, choice: np.ndarray, target: Target) -> np.ndarray:
    """Decodes uint8 [N,H,W,C] by the candidate that was chosen for each position (int [H,W,P])."""
    if target.cipher.startswith("cpbe"):
        return np.asarray(ciphertexts ^ cpbe_key(choice, target))
    return lpe_lanes.decrypt(ciphertexts, *lpe_key(choice, target), target)


def lpe_key(choice: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """The key t (uint8 [H,W,P]) and linked (bool [H,W,P]) of a choice of candidates for lpe (int [H,W,P])."""
    t = np.where(choice > 0, choice - 1, 0).astype(np.uint8)
    linked = np.broadcast_to(~lpe_lanes.starts(target), choice.shape)
    if target.cipher == "lpe-50":
        linked = linked & (choice > 0)
    return t, linked


def cpbe_key(choice: np.ndarray, target: Target) -> np.ndarray:
    """The keystream (uint8 [H,W,P], 0 where untouched) of a choice of candidates for cpbe (int [H,W,P])."""
    first = 1 if target.cipher == "cpbe-50" else 0
    return np.asarray(np.maximum(choice - first, 0), np.uint8)


def _half_untouched(others: int) -> np.ndarray:
    """Priors where one candidate has probability 1/2 and the others share the rest, float64 [1 + others]."""
    return np.array([_HALF] + [_HALF - math.log(others)] * others)
