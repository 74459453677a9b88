"""Ciphertext-only attack on ele: the nibble statistics of each block, and then the jigsaw.

Some hundred ciphertexts under one key are enough.

Every block has a key of its own, which is the same in all images. So n images are n samples of each block's
nibbles, from which `nibbles` reads the block up to a view of it: turned, mirrored, channels exchanged, negative.
These are just the ways in which etc leaves a block, and `jigsaw` puts such blocks together.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks, jigsaw
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.nibbles import place_nibbles, read_nibbles


class NibbleJigsaw(Attack):
    """Some hundred ciphertexts, of 3 channels; a mirror image half of the time."""

    name = "nibble-jigsaw"
    adversary = "ciphertext-only"
    leaves_open = "mirror"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is ele with one key for the dataset, and images of 3 channels."""
        return target.cipher == "ele" and target.scope == "dataset" and target.image_shape[2] == 3

    def learn(self, evidence: Evidence) -> Recovery:
        """Reads each block from its statistics, and puts the blocks together."""
        source, flip = read_nibbles(blocks.split_nibbles(evidence.ciphertexts).transpose(1, 0, 2))

        def to_blocks(images: np.ndarray) -> np.ndarray:
            return place_nibbles(blocks.split_nibbles(images), source, flip)

        return jigsaw.puzzle(to_blocks, evidence.ciphertexts, evidence.target.image_shape)
