"""Chosen-plaintext attack on vit-block: an image or two in which every value names its place.

A block's d values get the numbers 0..d−1, or d more where a bit of the block's own number is 1, written in digits
below 128, one an image: 96 numbers for 4×4 blocks of 3 channels, so one image; 2·768 for 16×16, so two. What comes
out above 127 is inverted, and undoing that leaves the digit. Blocks that share an order need no more.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.codewords import is_permutation
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.vit_block import block_size

_DIGIT_BITS = 7


class ChosenVit(Attack):
    """One chosen image for blocks of 4×4, two for larger ones.

    The recovered key: value i of output block j is value `source[j, i]` (int64 [B,d]) of input block
    `blocks[j]` (int64 [B]), inverted where `negative[j, i]` is 1 (uint8 [B,d]).
    """

    name = "chosen-vit-block"
    adversary = "chosen-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is vit-block with one key for the dataset."""
        return target.cipher == "vit-block" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for images of numbered values.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        shape, side = evidence.target.image_shape, block_size(evidence.target.params)
        count, size = layout.block_positions(shape, side).shape
        bits = min(size, 62)  # of a block's number; enough for any image that fits a memory
        numbers = np.tile(np.arange(size), (count, 1))
        numbers[:, :bits] += size * (np.arange(count)[:, None] >> np.arange(bits) & 1)
        shifts = np.arange(0, (2 * size - 1).bit_length(), _DIGIT_BITS)[:, None, None]
        chosen = (numbers >> shifts & 127).astype(np.uint8)
        answers = blocks.split(ask(evidence, blocks.join(chosen, shape, side)), side)
        inverted = answers > 127
        negative = inverted[0]
        digits = np.where(inverted, 255 - answers, answers).astype(np.int64)
        numbers = (digits << shifts).sum(axis=0)
        source = numbers % size
        in_number = source < bits
        moved = (np.where(in_number, numbers // size, 0) << np.where(in_number, source, 0)).sum(axis=1)
        if not (is_permutation(source) and is_permutation(moved) and (inverted == negative).all()):
            raise MisfitError("the oracle's answers are none that vit-block can give")
        mask = negative * np.uint8(255)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_bytes(ciphertexts, moved, source, mask, side)

        key = {"blocks": moved, "source": source, "negative": negative.astype(np.uint8)}
        return Recovery(restore, key, queries=len(chosen))
