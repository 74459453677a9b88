"""Chosen-plaintext attack on le: one image, since all blocks share a key and each of them is a query of its own.

A block of b×b×C has 2d = 32·C nibbles. They get the code words of `codewords`: 2 nibbles a word, hence
2 blocks, for up to 4 channels (3 blocks up to 64). Any image with so many blocks needs one query, which
is optimal; an image of a single block needs one query a block.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import blocks, codewords
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.ciphers import layout


class ChosenLe(Attack):
    """One chosen image, if it has two blocks.

    The recovered key: output nibble i of a block is input nibble `source[i]` (int64 [2d]), inverted
    where `flip[i]` is 1 (uint8 [2d]).
    """

    name = "chosen-le"
    adversary = "chosen-plaintext"
    source = "ours; Chang & Case 2020 needed 16 blocks for the 8-bit variant"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is le with one key for the dataset."""
        return target.cipher == "le" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for code words, of which each names its nibble.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        shape = evidence.target.image_shape
        count, nibbles = layout.block_positions(shape).shape[0], 2 * layout.BLOCK**2 * shape[2]
        length = codewords.length_for(nibbles)
        queries = -(-length // count)
        chosen = np.zeros((queries * count, nibbles), np.uint8)
        chosen[:length] = codewords.write(np.arange(nibbles), length)
        answers = ask(evidence, blocks.join_nibbles(chosen.reshape(queries, count, nibbles), shape))
        words = blocks.split_nibbles(answers).reshape(queries * count, nibbles)[:length]
        source, flipped = codewords.read(words)
        if not codewords.is_permutation(source):
            raise MisfitError("the oracle's answer is none that le can give")
        sources, masks = np.tile(source, (count, 1)), np.tile(flipped * np.uint8(15), (count, 1))

        def restore(ciphertexts: np.ndarray) -> np.ndarray:
            return blocks.unscramble_nibbles(ciphertexts, np.arange(count), sources, masks)

        return Recovery(restore, {"source": source, "flip": flipped.astype(np.uint8)}, queries)
