"""Extended learnable encryption (Madono, Tanaka, Onishi and Ogawa, arXiv 2001.07761; paper, [4]).

Each block is scrambled as in LE under its own key; then the blocks move.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import check, layout, nibbles
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of ele; B = (H/b)·(W/b) blocks in raster order.

    Attributes:
      orders: int [B, 2·b·b·C], a permutation of each block's nibbles.
      reverses: bool [B, 2·b·b·C], which are reversed before and after.
      blocks: int [B], a permutation; output block j is scrambled block blocks[j].
    """

    orders: np.ndarray
    reverses: np.ndarray
    blocks: np.ndarray


class Ele(nibbles.NibbleCipher):
    """ele, block size 4."""

    source = "Madono et al. 2020, ELE [4]"
    keyed = "order and reversal of each block's nibbles, order of the blocks"
    broken_by = "some 100 ciphertexts; 2 chosen images"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        count = nibbles.block_nibbles(image_shape)
        blocks = len(layout.block_positions(image_shape))
        super().__init__(
            name,
            image_shape,
            params,
            check.permutations("orders", [key.orders for key in keys], (blocks, count)),
            check.bits("reverses", [key.reverses for key in keys], (blocks, count)),
            check.permutations("blocks", [key.blocks for key in keys], (blocks,)),
        )

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """Each block's nibbles, and the order of the blocks."""
        blocks = len(layout.block_positions(image_shape))
        return blocks * nibbles.block_key_bits(image_shape) + math.lgamma(blocks + 1) / math.log(2)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `orders`, `reverses` and `blocks` of each secret, as `derive` describes."""
        count = nibbles.block_nibbles(image_shape)
        blocks = len(layout.block_positions(image_shape))
        keys = []
        for secret in secrets:
            reverses = FieldStream(secret, "reverses").bits(blocks * count)
            keys.append(
                Key(
                    FieldStream(secret, "orders").permutations(blocks, count),
                    reverses.reshape(blocks, count).astype(bool),
                    FieldStream(secret, "blocks").permutation(blocks),
                )
            )
        return keys
