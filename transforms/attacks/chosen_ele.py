"""Chosen-plaintext attack on ele, which the literature calls secure: two images.

Every block has a key of its own, so a nibble's code word (`codewords`) is spread over images, one nibble
each: w images make 8·16^(w−1) words, of which a block uses 2d = 32·C. The words that are left tell the
blocks apart, which move: nibble i of block j gets word i, or word 2d + i if bit i of j is 1. With 3 channels
two images make 128 words, 96 nibbles and 32 bits for j: enough for 2^32 blocks. (With 4 channels all
128 words are used up, and three images are needed.)

Two are optimal for 32×32×3: an answer has 24,576 bits, and the key more than 32,000, all of which matter.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks, codewords
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.ciphers import layout


class ChosenEle(Attack):
    """Two chosen images, for 1 to 3 channels.

    The recovered key: nibble i of output block j is nibble `source[j, i]` (int64 [B,2d]) of input block
    `blocks[j]` (int64 [B]), inverted where `flip[j, i]` is 1 (uint8 [B,2d]).
    """

    name = "chosen-ele"
    adversary = "chosen-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is ele with one key for the dataset."""
        return target.cipher == "ele" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for code words, of which each names its nibble and its block.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        shape = evidence.target.image_shape
        count, nibbles = layout.block_positions(shape).shape[0], 2 * layout.BLOCK**2 * shape[2]
        bits = (
            count - 1
        ).bit_length()  # of a block's number; fewer than nibbles in any image that fits a memory
        queries = codewords.length_for(nibbles + bits)
        number_bits = np.arange(count)[:, None] >> np.arange(bits) & 1
        words = np.tile(np.arange(nibbles), (count, 1))
        words[:, :bits] += nibbles * number_bits
        chosen = codewords.write(words, queries)
        answers = blocks.split_nibbles(ask(evidence, blocks.join_nibbles(chosen, shape)))
        numbers, flipped = codewords.read(answers)
        source = numbers % nibbles
        moved = ((numbers // nibbles) << np.where(source < bits, source, 0)).sum(axis=1)
        if not (codewords.is_permutation(source) and codewords.is_permutation(moved)):
            raise MisfitError("the oracle's answers are none that ele can give")
        mask = flipped * np.uint8(15)

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_nibbles(ciphertexts, moved, source, mask)

        key = {"blocks": moved, "source": source, "flip": flipped.astype(np.uint8)}
        return Recovery(restore, key, queries)
