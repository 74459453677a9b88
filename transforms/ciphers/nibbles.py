"""The nibble scrambling that LE and ELE share: within 4×4 blocks nibbles are permuted, and some reversed.

A block of b×b×C is flattened by (row, column, channel) to d bytes; v is its 2d nibbles, all low ones
(p & 15), then all high ones (p >> 4). v = 15 − v where `reverse`; v = v[order]; v = 15 − v where
`reverse` again (the same positions); the block's bytes are then (v[d:] << 4) + v[:d].

Since 15 − v = v ⊕ 15, output nibble i is v[order[i]] ⊕ 15·(reverse[order[i]] ⊕ reverse[i]): a gather of
nibbles, and one XOR over bytes. The inverse has the same form, with the inverse permutation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.image_shape import ImageShape

_LANES = 32
"""Images whose bytes at one position are moved together, under one key."""
_TILE_BYTES = 1 << 12
"""Of one image, at most, where it is `_LANES` at a time: the working memory then stays in the second-level cache."""
_LANE_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_FOUR = np.uint64(4)


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
    images_at_once = _LANES

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
        self._orders = orders.astype(np.int32)
        self._reverses = reverses
        self._blocks = blocks

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """H and W must be multiples of the block size."""
        layout.check_blocks(cls.__name__.upper(), image_shape)

    @functools.cached_property
    def _scramble(self) -> _Scramble:
        orders, reverses = self._orders, self._reverses
        if self._blocks is not None:
            orders, reverses = (
                np.take_along_axis(of_block, self._blocks[:, :, None], axis=1)
                for of_block in (orders, reverses)
            )
        return _Scramble(self.image_shape, orders, reverses, self._blocks)

    @functools.cached_property
    def _unscramble(self) -> _Scramble:
        blocks = None if self._blocks is None else layout.inverse(self._blocks)
        return _Scramble(self.image_shape, np.argsort(self._orders, axis=2), self._reverses, blocks)

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        self._scramble.apply(images, out, keys)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        self._unscramble.apply(images, out, keys)


class _Scramble:
    """Moves blocks, and then puts the nibbles of each block in another order and reverses some.

    Works on tiles of whole rows of blocks. Under one key, up to `_LANES` images are laid side by side, position after
    position, so that a nibble is gathered from all of them at once and everything else is done in 64-bit words.

    Args:
      image_shape: (H, W, C).
      orders: int [K, B, 2d], for each output block; B may be 1.
      reverses: uint8 [K, B, 2d]; likewise.
      blocks: int64 [K, B], which block each output block is made from; None for the same.
    """

    def __init__(
        self, image_shape: ImageShape, orders: np.ndarray, reverses: np.ndarray, blocks: np.ndarray | None
    ) -> None:
        height, width, channels = image_shape
        keys = len(orders)
        self._size = math.prod(image_shape)
        row = layout.BLOCK * width * channels
        rows = max(1, _TILE_BYTES // row)
        if keys > 1:
            # With one image at a time tiles can be larger; where blocks move, they then do so in the same gather.
            rows = max(1, 8 * _TILE_BYTES // row) if blocks is None else height // layout.BLOCK
        self._tile = min(rows * row, self._size)
        # Where all blocks have one order, so have all tiles.
        shape = image_shape if orders.shape[1] > 1 else (self._tile // (width * channels), width, channels)
        place = layout.block_positions(shape)
        nibbles = place % self._tile
        # In a tile of fewer rows, the last one, high nibbles start where they do in the others.
        nibbles = np.concatenate([nibbles, nibbles + self._tile], axis=1)
        sources = np.broadcast_to(nibbles, (keys, *nibbles.shape))
        self._words = None
        if blocks is not None and self._tile == self._size:
            sources = np.take_along_axis(sources, blocks[:, :, None], axis=1)
        elif blocks is not None:
            self._words = _words_of_blocks(image_shape, blocks)
        orders = np.broadcast_to(orders, sources.shape)
        reverses = np.broadcast_to(reverses, sources.shape)
        sources = np.take_along_axis(sources, orders, axis=2)
        flips = np.take_along_axis(reverses, orders, axis=2) ^ reverses
        d = place.shape[1]
        self._low = np.empty((keys, place.size), np.int64)
        self._high = np.empty_like(self._low)
        self._mask = np.empty((keys, place.size), np.uint8)
        where = place.reshape(-1)
        self._low[:, where] = sources[..., :d].reshape(keys, -1)
        self._high[:, where] = sources[..., d:].reshape(keys, -1)
        self._mask[:, where] = (flips[..., :d] * np.uint8(0x0F) + flips[..., d:] * np.uint8(0xF0)).reshape(
            keys, -1
        )

    def apply(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        """Fills `out` (uint8 [M, H·W·C]) from `images`, with the keys of `keys`, as `Cipher` has it."""
        together = 1 if len(self._low) > 1 else max(1, min(_LANES, _LANES * _TILE_BYTES // self._tile))
        for start in range(0, len(images), together):
            part = slice(start, start + together)
            self._apply(images[part], out[part], keys.start + start if len(self._low) > 1 else 0)

    def _apply(self, images: np.ndarray, out: np.ndarray, key: int) -> None:
        count, tile = len(images), self._tile
        nibbles = np.empty((2 * tile, count), np.uint8)
        low, high = np.empty((2, tile, count), np.uint8)
        if self._words is not None:
            words = np.require(np.ascontiguousarray(images).view(np.uint32), requirements=["C", "A"])
            images = np.take(words, self._words[key], axis=1, mode="clip").view(np.uint8)
        for start in range(0, self._size, tile):
            size = min(tile, self._size - start)
            at = start % self._low.shape[1]
            low[:size] = images[:, start : start + size].T
            _split(low[:size], nibbles[:size], nibbles[tile : tile + size])
            for half, index in ((low, self._low), (high, self._high)):
                # All are in range; `clip` skips a copy.
                np.take(nibbles, index[key, at : at + size], axis=0, out=half[:size], mode="clip")
            _join(low[:size], high[:size])
            target = out[:, start : start + size]
            target[...] = low[:size].T
            target ^= self._mask[key, at : at + size]


def _words_of_blocks(image_shape: ImageShape, blocks: np.ndarray) -> np.ndarray:
    """int64 [K, H·W·C/4]: where each 32-bit word of an image comes from when blocks (int64 [K, B]) move.

    A row of a block is 4·C bytes, and so C words.
    """
    height, width, channels = image_shape
    words = np.arange(height * width * channels // 4).reshape(-1, layout.BLOCK, width // 4, channels)
    by_block = words.transpose(0, 2, 1, 3).reshape(-1, layout.BLOCK, channels)
    moved = by_block[blocks].reshape(len(blocks), -1, width // 4, layout.BLOCK, channels)
    return np.asarray(moved.transpose(0, 1, 3, 2, 4).reshape(len(blocks), -1))


def _split(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Writes the low and the high nibbles of `values` to `low` and `high`, all contiguous uint8 [16·m, M]."""
    wide, wide_low, wide_high = (a.reshape(-1).view(np.uint64) for a in (values, low, high))
    np.bitwise_and(wide, _LANE_NIBBLES, out=wide_low)
    np.right_shift(wide, _FOUR, out=wide_high)
    np.bitwise_and(wide_high, _LANE_NIBBLES, out=wide_high)


def _join(low: np.ndarray, high: np.ndarray) -> None:
    """Makes `low` the bytes of nibbles `low` and `high`, both contiguous uint8 [16·m, M]; `high` is overwritten."""
    wide_low, wide_high = (a.reshape(-1).view(np.uint64) for a in (low, high))
    np.left_shift(wide_high, _FOUR, out=wide_high)
    np.bitwise_or(wide_low, wide_high, out=wide_low)
