"""The nibble scrambling that LE and ELE share: within 4×4 blocks nibbles are permuted, and some reversed.

A block of b×b×C is flattened by (row, column, channel) to d bytes; v is its 2d nibbles, all low ones
(p & 15), then all high ones (p >> 4). v = 15 − v where `reverse`; v = v[order]; v = 15 − v where
`reverse` again (the same positions); the block's bytes are then (v[d:] << 4) + v[:d].

Since 15 − v = v ⊕ 15, output nibble i is v[order[i]] ⊕ 15·(reverse[order[i]] ⊕ reverse[i]): one gather
over the whole image's nibbles, and one XOR over its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.image_shape import ImageShape


def block_nibbles(image_shape: ImageShape) -> int:
    """The number of nibbles of a block, 2·b·b·C."""
    return 2 * layout.BLOCK * layout.BLOCK * image_shape[2]


def block_key_bits(image_shape: ImageShape) -> float:
    """Key bits of one block: an order of its nibbles and a choice of reversed ones."""
    nibbles = block_nibbles(image_shape)
    return math.lgamma(nibbles + 1) / math.log(2) + nibbles


class NibbleCipher(Cipher):
    """Scrambles nibbles within blocks, and then moves blocks.

    Args:
      orders: int64 [K, B, 2d], permutations; B may be 1 where all blocks use one.
      reverses: uint8 [K, B, 2d] of 0 and 1; likewise.
      blocks: int64 [K, B], output block j is scrambled block blocks[j]; None leaves them in place.

    The other arguments are those of `Cipher`.
    """

    demands = f"H and W multiples of {layout.BLOCK}"

    def __init__(
        self,
        name: str,
        image_shape: ImageShape,
        params: Mapping[str, str],
        orders: np.ndarray,
        reverses: np.ndarray,
        blocks: np.ndarray | None,
    ) -> None:
        super().__init__(name, image_shape, params, orders)
        place = layout.block_positions(image_shape)
        size = place.size
        # Nibble i of block j lies at nibbles[j, i] in the image's low nibbles, then high nibbles.
        nibbles = np.concatenate([place, place + size], axis=1)
        shape = (len(orders), *nibbles.shape)
        orders = np.broadcast_to(orders, shape)
        reverses = np.broadcast_to(reverses, shape)
        source = np.take_along_axis(np.broadcast_to(nibbles, shape), orders, axis=2)
        flips = np.take_along_axis(reverses, orders, axis=2) ^ reverses
        if blocks is not None:
            source = np.take_along_axis(source, blocks[:, :, None], axis=1)
            flips = np.take_along_axis(flips, blocks[:, :, None], axis=1)
        self._index = np.empty((len(orders), 2 * size), np.int64)
        self._index[:, nibbles.reshape(-1)] = source.reshape(len(orders), -1)
        flipped = np.empty((len(orders), 2 * size), np.uint8)
        flipped[:, nibbles.reshape(-1)] = flips.reshape(len(orders), -1)
        self._mask = flipped[:, :size] * np.uint8(0x0F) + flipped[:, size:] * np.uint8(0xF0)
        self._inverse = layout.inverse(self._index)

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """H and W must be multiples of the block size."""
        layout.check_blocks(cls.__name__.upper(), image_shape)

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        _gather_nibbles(images, self._index[keys], out)
        np.bitwise_xor(out, self._mask[keys], out=out)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        _gather_nibbles(images ^ self._mask[keys], self._inverse[keys], out)


def _gather_nibbles(images: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Fills `out` (uint8 [M, L]) with the images' nibbles at `index` (int64 [M or 1, 2L])."""
    size = images.shape[1]
    nibbles = np.empty((len(images), 2 * size), np.uint8)
    np.bitwise_and(images, 0x0F, out=nibbles[:, :size])
    np.right_shift(images, 4, out=nibbles[:, size:])
    taken = np.empty_like(nibbles)
    layout.take(nibbles, index, taken)
    np.left_shift(taken[:, size:], 4, out=out)
    np.bitwise_or(out, taken[:, :size], out=out)
