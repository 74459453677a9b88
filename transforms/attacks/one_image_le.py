"""Ciphertext-only attack on single images of le: 64 blocks under one key are samples enough.

All blocks of an image share its key, so `nibbles` has as many samples as there are blocks. In a 32×32 image they
place all high nibbles nearly always, and some of the low ones: about 35 dB. What one image says too little
about is its view: whether it is a negative, or red and blue are exchanged, is a guess that often fails.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.nibbles import NibbleStatistics


class OneImageLe(Attack):
    """Restores each image from its own ciphertext, in a quarter of a second each; of 3 channels."""

    name = "one-image-nibbles"
    adversary = "ciphertext-only"
    source = "ours"
    learns = False
    leaves_open = "view"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is le with a key per image, and images of 3 channels."""
        return target.cipher == "le" and target.scope == "image" and target.image_shape[2] == 3

    def learn(self, evidence: Evidence) -> Recovery:
        """Learns nothing: the recovery looks at each image alone."""

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            out = np.empty_like(ciphertexts)
            for i in range(len(ciphertexts)):
                one = ciphertexts[i : i + 1]
                recovery = NibbleStatistics().learn(Evidence(evidence.target, one))
                out[i] = recovery.restore(one)[0]
            return out

        return Recovery(restore)
