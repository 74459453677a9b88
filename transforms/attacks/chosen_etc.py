"""Chosen-plaintext attack on etc: one image in which every byte names its place.

Rotating, flipping and exchanging channels permute the d = 48 bytes of a block. Byte i of block j holds i,
or 48 + i if bit i of j is 1. All is below 96, so more than 127 shows an inverted block, and undoing that
leaves the byte's place (value modulo 48) and one bit of its block's number. 48 bits are enough for any image.
One query is optimal.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.codewords import is_permutation
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.ciphers import layout


class ChosenEtc(Attack):
    """One chosen image.

    The recovered key: byte i of output block j is byte `source[j, i]` (int64 [B,d]) of input block
    `blocks[j]` (int64 [B]), inverted where `negative[j]` is 1 (uint8 [B]). Two pairs of rotation and flip
    that do the same to a block cannot be told apart, and need not be.
    """

    name = "chosen-etc"
    adversary = "chosen-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is etc with one key for the dataset."""
        return target.cipher == "etc" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for an image of numbered bytes.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        shape = evidence.target.image_shape
        count, size = layout.block_positions(shape).shape
        number_bits = np.arange(count)[:, None] >> np.arange(size) & 1
        chosen = (np.arange(size) + size * number_bits).astype(np.uint8)
        answer = blocks.split(ask(evidence, blocks.join(chosen[None], shape)))[0]
        negative = answer[:, :1] > 127
        upright = np.where(negative, 255 - answer, answer).astype(np.int64)
        source = upright % size
        moved = ((upright // size) << source).sum(axis=1)
        if not (is_permutation(source) and is_permutation(moved)):
            raise MisfitError("the oracle's answer is none that etc can give")
        mask = np.broadcast_to(negative * np.uint8(255), (count, size))

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_bytes(ciphertexts, moved, source, mask)

        key = {"blocks": moved, "source": source, "negative": negative[:, 0].astype(np.uint8)}
        return Recovery(restore, key, queries=1)
