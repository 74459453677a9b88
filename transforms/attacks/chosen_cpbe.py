"""Chosen-plaintext attack on cpbe: the all-zeros image gives c = 0 ⊕ t = t, the whole keystream.

One query, and none would not do.

In cpbe-50 a byte that is not encrypted has t = 0, so the same holds. Every image of the dataset is then
c ⊕ t. The map's μ and d_0, the shuffle and k are not needed, and cannot be told apart from others with the
same t.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import ask


class ChosenCpbe(Attack):
    """One chosen image. Recovers `t`, uint8 [H,W,C]: the keystream where it is applied, 0 elsewhere."""

    name = "chosen-cpbe"
    adversary = "chosen-plaintext"
    source = "Ahmad & Shin (the paper itself), blank image"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is cpbe with one key for the dataset."""
        return target.cipher in {"cpbe-50", "cpbe-100"} and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for the all-zeros image.

        Raises:
          ValueError: the evidence has no oracle.
        """
        t = ask(evidence, np.zeros((1, *evidence.target.image_shape), np.uint8))[0]
        return Recovery(lambda ciphertexts: ciphertexts ^ t, {"t": t}, queries=1)
