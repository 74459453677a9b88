"""Learnable encryption (Tanaka, arXiv 1804.00490; paper, [2]): nibbles are scrambled, in all blocks alike.

The scrambling of a block is that of `nibbles`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import check, nibbles
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of le.

    Attributes:
      order: int [2·b·b·C], a permutation of a block's nibbles.
      reverse: bool [2·b·b·C], which are reversed before and after. (The reference code derives it
        from the order; here it is drawn on its own, and any is accepted.)
    """

    order: np.ndarray
    reverse: np.ndarray


class Le(nibbles.NibbleCipher):
    """le, block size 4."""

    source = "Tanaka 2018, LE [2]"
    keyed = "order and reversal of a block's nibbles"
    broken_by = "some 10 ciphertexts; 1 chosen image"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        count = nibbles.block_nibbles(image_shape)
        order = check.permutations("order", [key.order for key in keys], (count,))
        reverse = check.bits("reverse", [key.reverse for key in keys], (count,))
        super().__init__(name, image_shape, params, order[:, None], reverse[:, None], None)

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """One block's nibbles."""
        return nibbles.block_key_bits(image_shape)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `order` and `reverse` of each secret, as `derive` describes."""
        count = nibbles.block_nibbles(image_shape)
        return [
            Key(
                FieldStream(secret, "order").permutation(count),
                FieldStream(secret, "reverse").bits(count).astype(bool),
            )
            for secret in secrets
        ]
