"""Block-wise encryption for networks that look at images patch by patch, by Kiya's group.

For ViT: Qi, MaungMaung, Kinoshita and Kiya, arXiv 2205.12041; MaungMaung and Kiya, arXiv 2207.05366; Kiya, Iijima and
Nagamori, arXiv 2308.07612; the same transformations were used with ConvMixer. A block is a patch of the network.
Blocks move; a block's b·b·C values, flattened, are permuted ("pixel shuffling"), and some are inverted
("negative-positive transformation", p → 255 − p).

A block v of b×b×C, flattened by (row, column, channel), becomes v[order[i]], and 255 minus that where `negative[i]`
is 1; then the blocks move. The papers use one order and one choice of signs for all blocks, since the patch embedding
of a network can then take the scrambling up (inner=shared); with inner=own each block has its own. They describe the
steps one by one and combine them differently; here all three are always done, but signs, with signs=false, and
the values inverted are chosen after the shuffling. (Before it would be another key for the same cipher.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import check, layout
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.errors import CipherError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of vit-block; B = (H/b)·(W/b) blocks in raster order, of d = b·b·C bytes.

    Attributes:
      blocks: int [B], a permutation; output block j is scrambled block blocks[j].
      orders: int [1, d], a permutation of the bytes of every block; with inner=own int [B, d], one of each block.
      negatives: 0 or 1, 255 − p where 1, of the same shape as `orders`; None with signs=false.
    """

    blocks: np.ndarray
    orders: np.ndarray
    negatives: np.ndarray | None = None


class VitBlock(Cipher):
    """vit-block, with its parameters."""

    source = "Qi et al. 2022, MaungMaung & Kiya 2022: block-wise encryption for ViT"
    keyed = "order of the blocks; order and inversion of a block's values, alike in all blocks or not"
    demands = "H and W multiples of the block size"
    broken_by = "some 10 ciphertexts (block=8: 30; block=16: 300); 1 or 2 chosen images"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        place = layout.block_positions(image_shape, block_size(params))
        count, size = place.shape
        inner = (count if params["inner"] == "own" else 1, size)
        blocks = check.permutations("blocks", [key.blocks for key in keys], (count,))
        orders = check.permutations("orders", [key.orders for key in keys], inner)
        negatives = check.bits("negatives", _negatives(keys, inner, params["signs"] == "true"), inner)
        # [K, B, d]: where each byte of a scrambled block comes from, first before blocks move.
        shape = (len(keys), count, size)
        source = np.take_along_axis(np.broadcast_to(place, shape), np.broadcast_to(orders, shape), axis=2)
        source = np.take_along_axis(source, blocks[:, :, None], axis=1)
        inverted = np.take_along_axis(np.broadcast_to(negatives, shape), blocks[:, :, None], axis=1)
        self._index = np.empty((len(keys), place.size), np.int64)
        self._index[:, place.reshape(-1)] = source.reshape(len(keys), -1)
        self._mask = np.empty((len(keys), place.size), np.uint8)
        self._mask[:, place.reshape(-1)] = inverted.reshape(len(keys), -1) * np.uint8(255)
        self._inverse = layout.inverse(self._index)

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """The size of blocks, whether all are scrambled alike, and whether values are inverted."""
        return {"block": ("4", "8", "16"), "inner": ("shared", "own"), "signs": ("true", "false")}

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """H and W must be multiples of the block size."""
        layout.check_blocks(f"vit-block with block={params['block']}", image_shape, block_size(params))

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """The order of the blocks, and the order and inversion of the values of one block or of each."""
        blocks, size = layout.block_positions(image_shape, block_size(params)).shape
        inner = math.lgamma(size + 1) / math.log(2) + (size if params["signs"] == "true" else 0)
        return math.lgamma(blocks + 1) / math.log(2) + inner * (blocks if params["inner"] == "own" else 1)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `blocks`, `orders` and `negatives` of each secret, as `derive` describes."""
        blocks, size = layout.block_positions(image_shape, block_size(params)).shape
        inner = blocks if params["inner"] == "own" else 1
        return [
            Key(
                FieldStream(secret, "blocks").permutation(blocks),
                FieldStream(secret, "orders").permutations(inner, size),
                FieldStream(secret, "negatives").bits(inner * size).reshape(inner, size)
                if params["signs"] == "true"
                else None,
            )
            for secret in secrets
        ]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        layout.take(images, self._index[keys], out)
        np.bitwise_xor(out, self._mask[keys], out=out)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        layout.take(images ^ self._mask[keys], self._inverse[keys], out)


def block_size(params: Mapping[str, str]) -> int:
    """The side of a block in pixels."""
    return int(params["block"])


def _negatives(keys: Sequence[Key], shape: tuple[int, int], signed: bool) -> list[np.ndarray]:
    """The choice of inverted values of each key; of none with signs=false."""
    if any((key.negatives is not None) != signed for key in keys):
        raise CipherError(
            f"negatives must be {'given' if signed else 'None'} with signs={str(signed).lower()}"
        )
    return [np.zeros(shape, np.uint8) if key.negatives is None else key.negatives for key in keys]
