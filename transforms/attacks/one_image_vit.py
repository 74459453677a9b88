"""Ciphertext-only attack on single images of vit-block, inner=shared: their blocks are the samples.

All blocks of an image share one order and choice of signs, so that `block_statistics` can read them, if they are many;
the jigsaw then has one copy of the puzzle. An image of 32×32 is too small for that: nothing is restored but colours.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.block_statistics import solve
from lpe.transforms.ciphers.vit_block import block_size


class OneImageVit(Attack):
    """Restores each image from its own ciphertext, of 3 channels."""

    name = "one-image-blocks"
    adversary = "ciphertext-only"
    source = "ours; for the layout, after Chuman & Kiya's jigsaw attacks on ViT's schemes"
    learns = False
    leaves_open = "view"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is vit-block, inner=shared, with a key per image, and images of 3 channels."""
        return (
            target.cipher == "vit-block"
            and target.params["inner"] == "shared"
            and target.scope == "image"
            and target.image_shape[2] == 3
        )

    def learn(self, evidence: Evidence) -> Recovery:
        """Learns nothing: the recovery looks at each image alone."""
        side = block_size(evidence.target.params)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            out = np.empty_like(ciphertexts)
            for i in range(len(ciphertexts)):
                one = ciphertexts[i : i + 1]
                out[i] = solve(one, side, own=False).restore(one)[0]
            return out

        return Recovery(restore)
