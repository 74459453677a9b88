"""Known-plaintext attack on cpbe: one pair gives the keystream, t = p ⊕ c, whatever the image."""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs


class KnownCpbe(Attack):
    """One pair, exact. Recovers `t`, uint8 [H,W,C]: the keystream where it is applied, 0 elsewhere."""

    name = "known-cpbe"
    adversary = "known-plaintext"
    source = "any stream cipher that uses its keystream twice"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is cpbe with one key for the dataset."""
        return target.cipher in {"cpbe-50", "cpbe-100"} and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """XORs the first pair, and checks the others against it.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        plain, cipher = known_pairs(evidence)
        t = plain[0] ^ cipher[0]
        if (plain ^ t != cipher).any():
            raise MisfitError(f"no key of {evidence.target.cipher} fits the known pairs")
        return Recovery(lambda ciphertexts: np.bitwise_xor(ciphertexts, t), {"t": t})
