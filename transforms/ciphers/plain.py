"""The identity, for baselines: no encryption."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.image_shape import ImageShape


@dataclasses.dataclass(frozen=True)
class Key:
    """No key material."""


class Plain(Cipher):
    """c = p."""

    source = "the identity, for baselines"
    keyed = "nothing"
    broken_by = "nothing to break"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """0: there is one key."""
        return 0.0

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """A `Key` for each secret, of which nothing is used."""
        return [Key() for _ in secrets]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        out[...] = images

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        out[...] = images
