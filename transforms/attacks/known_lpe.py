"""Known-plaintext attack on lpe: of each position's 128 functions (lpe-50: 129), those that fit all pairs.

The chain needs no key, so every pair shows p and g_t(p) at each position (`lpe_lanes`). Natural images
hold many values, and each rules out more t. Where several are left the likeliest is taken: the function that
leaves p as it is, which k_i = 0 makes half of all, before any other. Channels that share a key triple the
evidence: about 5 images are then enough for all positions, and about 20 with independent channels.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import lpe_lanes
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs


class KnownLpe(Attack):
    """About 5 pairs with shared channels, 20 with independent ones.

    The recovered key: `t` uint8 [H,W,P] of 0..127, P = 1 or C; `linked` bool [H,W,P], whether the
    position is XORed with the one before (false where a chain starts).
    """

    name = "known-lpe"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is lpe-100 or lpe-50, with one key for the dataset."""
        return target.cipher in {"lpe-50", "lpe-100"} and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Takes the likeliest function that fits, position by position.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        target = evidence.target
        plain, cipher = (lpe_lanes.lanes(images, target) for images in known_pairs(evidence))
        e = cipher ^ lpe_lanes.before(cipher, target)
        starts = lpe_lanes.starts(target)
        unlinked = np.zeros(e.shape[1:], bool)
        if target.cipher == "lpe-50":
            unlinked = (plain == cipher).all(axis=0) & ~starts
        t = np.zeros(e.shape[1:], np.uint8)
        is_open = ~unlinked
        for value in range(128):
            fits = (((plain[:, is_open] + np.uint8(value)) ^ np.uint8(value)) == e[:, is_open]).all(axis=0)
            t[is_open] = np.where(fits, value, 0)
            is_open[is_open] = ~fits
        if is_open.any():
            raise MisfitError(f"no key of {target.cipher} fits the known pairs")
        linked = ~unlinked & ~starts
        return Recovery(
            lambda ciphertexts: lpe_lanes.decrypt(ciphertexts, t, linked, target), {"t": t, "linked": linked}
        )
