"""Block scrambling as in encryption-then-compression, EtC, with which the paper's [4] compares.

Each 4×4 block is rotated, flipped, inverted, and its channels put in another order; then the blocks
move. (The published code for [4] overwrites channels while it swaps them and loses data; these are
true permutations.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import check, layout
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.ciphers.colour import ORDERS, check_three_channels
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable

_TURNS = 4
_FLIPS = 3


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of etc; B = (H/b)·(W/b) blocks in raster order, each array int [B].

    Attributes:
      blocks: a permutation; output block j is scrambled block blocks[j].
      rotate: 0..3 quarter turns, counter-clockwise.
      flip: 0 none, 1 up-down, 2 left-right; after the rotation.
      negative: 0 or 1; 255 − p where 1.
      colour: 0..5, an entry of `colour.ORDERS`.
    """

    blocks: np.ndarray
    rotate: np.ndarray
    flip: np.ndarray
    negative: np.ndarray
    colour: np.ndarray


class Etc(Cipher):
    """etc, block size 4."""

    source = "block scrambling for encryption-then-compression, as compared in [4]"
    keyed = "each block's rotation, flip, inversion and channel order; order of the blocks"
    demands = f"H and W multiples of {layout.BLOCK}, C = 3"
    broken_by = "some 10 to 100 ciphertexts; 1 chosen image"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        place = layout.block_positions(image_shape)
        shape = (len(place),)
        blocks = check.permutations("blocks", [key.blocks for key in keys], shape)
        rotate = check.integers("rotate", [key.rotate for key in keys], shape, _TURNS)
        flip = check.integers("flip", [key.flip for key in keys], shape, _FLIPS)
        negative = check.bits("negative", [key.negative for key in keys], shape)
        colour = check.integers("colour", [key.colour for key in keys], shape, len(ORDERS))
        # [K, B, b·b·C]: where each byte of a scrambled block comes from, first before blocks move.
        source = np.take_along_axis(
            np.broadcast_to(place, (len(keys), *place.shape)), _within_blocks()[rotate, flip, colour], axis=2
        )
        source = np.take_along_axis(source, blocks[:, :, None], axis=1)
        inverted = np.take_along_axis(negative, blocks, axis=1) * np.uint8(255)
        self._index = np.empty((len(keys), place.size), np.int64)
        self._index[:, place.reshape(-1)] = source.reshape(len(keys), -1)
        self._mask = np.empty((len(keys), place.size), np.uint8)
        self._mask[:, place.reshape(-1)] = np.repeat(inverted, place.shape[1], axis=1)
        self._inverse = layout.inverse(self._index)

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """H and W must be multiples of the block size, and C must be 3."""
        check_three_channels("etc", image_shape)
        layout.check_blocks("EtC", image_shape)

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """Each block's rotation, flip, inversion and channel order, and the order of the blocks."""
        blocks = len(layout.block_positions(image_shape))
        block_bits = math.log2(_TURNS * _FLIPS * 2 * len(ORDERS))
        return blocks * block_bits + math.lgamma(blocks + 1) / math.log(2)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `blocks`, `rotate`, `flip`, `negative` and `colour` of each secret, as `derive` describes."""
        blocks = len(layout.block_positions(image_shape))
        return [
            Key(
                FieldStream(secret, "blocks").permutation(blocks),
                FieldStream(secret, "rotate").below(_TURNS, blocks),
                FieldStream(secret, "flip").below(_FLIPS, blocks),
                FieldStream(secret, "negative").bits(blocks),
                FieldStream(secret, "colour").below(len(ORDERS), blocks),
            )
            for secret in secrets
        ]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        layout.take(images, self._index[keys], out)
        np.bitwise_xor(out, self._mask[keys], out=out)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        layout.take(images ^ self._mask[keys], self._inverse[keys], out)


def _within_blocks() -> np.ndarray:
    """int64 [4, 3, 6, b·b·3]: for each rotation, flip and colour, where a block's bytes come from."""
    block = np.arange(layout.BLOCK * layout.BLOCK * 3).reshape(layout.BLOCK, layout.BLOCK, 3)
    out = np.empty((_TURNS, _FLIPS, len(ORDERS), block.size), np.int64)
    for turns in range(_TURNS):
        turned = np.rot90(block, turns)
        for flip, flipped in enumerate((turned, turned[::-1], turned[:, ::-1])):
            for colour, order in enumerate(ORDERS):
                out[turns, flip, colour] = flipped[..., order].reshape(-1)
    return out
