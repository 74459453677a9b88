"""Ciphertext-only attack on single images of le: 64 blocks under one key are samples enough.

All blocks of an image share its key, so `nibbles` has as many samples as there are blocks. In a 32×32 image they
place all high nibbles nearly always, and some of the low ones: about 35 dB. What one image says too little
about is its view: whether it is a negative, or red and blue are exchanged, is a guess that often fails.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.nibbles import MOST_SAMPLES, place_nibbles, read_nibbles, upright


class OneImageLe(Attack):
    """Restores each image from its own ciphertext, in some tenth of a second each; of 3 channels."""

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
        shape = evidence.target.image_shape

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            nibbles = blocks.split_nibbles(ciphertexts)
            read = zip(*read_nibbles(nibbles[:, :MOST_SAMPLES]), strict=True)
            out = np.empty_like(ciphertexts)
            for i, (source, flip) in enumerate(read):
                one = nibbles[i : i + 1]
                out[i] = blocks.join(place_nibbles(one, *upright(one, source, flip, shape)), shape)[0]
            return out

        return Recovery(restore)
