"""The keys that a position may have, as functions that decode its bytes, for schemes that treat each pixel by itself.

lpe, without its chain (`lpe_lanes`): untouched with probability 1/2, else one of 128 functions g_t.
cpbe: XOR with one of 256 bytes; cpbe-50 leaves half of the positions untouched.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from lpe.transforms.attacks import lpe_lanes
from lpe.transforms.attacks.base import Target

_HALF = math.log(0.5)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The functions that each position of some lanes (see `lpe_lanes`) may have gone through.

    Attributes:
      log_prior: float64 [K], how likely each is before anything is seen; candidate 0 is `untouched`, if possible.
      decode: candidate k -> what the lanes would be if all positions had gone through it, uint8 [L,H,W,P].
      initial: a first estimate of the lanes, uint8 [L,H,W,P]; None if no candidate is likelier than others.
    """

    log_prior: np.ndarray
    decode: Callable[[int], np.ndarray]
    initial: np.ndarray | None


def applies_to(target: Target) -> bool:
    """Whether there are candidates for this scheme."""
    return target.cipher in {"lpe-50", "lpe-100", "cpbe-50", "cpbe-100"}


def of_ciphertexts(ciphertexts: np.ndarray, target: Target) -> Candidates:
    """The candidates for uint8 [N,H,W,C]; their lanes are those of `lpe_lanes.lanes`."""
    c = lpe_lanes.lanes(ciphertexts, target)
    if target.cipher.startswith("cpbe"):
        return _of_cpbe(c, target)
    e: np.ndarray = c ^ lpe_lanes.before(c, target)
    untouched = c if target.cipher == "lpe-50" else e

    def decode(k: int) -> np.ndarray:
        if k == 0:
            return untouched
        t = np.uint8(k - 1)
        return np.asarray((e ^ t) - t)

    return Candidates(_half_untouched(128), decode, untouched)


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


def _of_cpbe(c: np.ndarray, target: Target) -> Candidates:
    """The candidates for lanes of cpbe, uint8 [L,H,W,P]."""
    if target.cipher == "cpbe-100":
        return Candidates(np.full(256, -math.log(256)), lambda k: c ^ np.uint8(k), None)
    return Candidates(_half_untouched(256), lambda k: c ^ cpbe_key(np.array(k), target), c)


def _half_untouched(others: int) -> np.ndarray:
    """Priors where one candidate has probability 1/2 and the others share the rest, float64 [1 + others]."""
    return np.array([_HALF] + [_HALF - math.log(others)] * others)
