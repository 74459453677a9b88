"""Pixel-based encryption (Sirichotedumrong, Kinoshita and Kiya, IEEE Access 2019; paper, [3]).

Negative-positive: c = p ⊕ 255 where the mask is 1, for each byte on its own. Then, if asked for, the
channels of each pixel are put in one of their six orders.

With `pool` above 1 a dataset has that many keys, and an image's id says which of them it has (`lpe.transforms.keyed`):
ScrambleMix (Madono, Tanaka, Onishi and Ogawa, PSIVT 2023) without its 2 % of mixing.
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
from lpe.transforms.errors import CipherError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of pbe.

    Attributes:
      mask: uint8 [H, W, C] of 0 and 1.
      colour: int [H, W] of 0..5, an entry of `colour.ORDERS` for each pixel; None with colour="false".
    """

    mask: np.ndarray
    colour: np.ndarray | None = None


class Pbe(Cipher):
    """pbe.

    Parameters: `colour`: `false`, or `true` for the channel shuffle, which needs 3 channels. `pool`: the number of keys
    that a dataset's images are shared out among.
    """

    source = "Sirichotedumrong, Kinoshita & Kiya 2019, PBE [3]"
    keyed = "which bytes are inverted (mask), order of each pixel's channels (colour)"
    demands = "any H×W×C; C = 3 with colour=true"
    broken_by = "some 3 to 10 ciphertexts a key; 1 chosen image"
    later_params = frozenset({"pool"})

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        mask = check.bits("mask", [key.mask for key in keys], image_shape)
        self._mask = (mask * np.uint8(255)).reshape(len(keys), -1)
        self._index: np.ndarray | None = None
        if (params["colour"] == "true") != all(key.colour is not None for key in keys):
            raise CipherError("pbe: a key has `colour` exactly if the parameter colour is true")
        if params["colour"] == "true":
            colour = check.integers("colour", [key.colour for key in keys], image_shape[:2], len(ORDERS))
            pixels = np.arange(image_shape[0] * image_shape[1])[None, :, None] * 3
            self._index = (pixels + ORDERS[colour.reshape(len(keys), -1)]).reshape(len(keys), -1)
            self._inverse = layout.inverse(self._index)

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """`colour` and `pool`."""
        return {"colour": ("false", "true"), "pool": ("1", "2", "4", "8", "16")}

    @classmethod
    def pool(cls, params: Mapping[str, str]) -> int:
        """The parameter `pool`."""
        return int(params.get("pool", "1"))

    @classmethod
    def check_shape(cls, image_shape: ImageShape, params: Mapping[str, str]) -> None:
        """With colour=true C must be 3."""
        if params["colour"] == "true":
            check_three_channels("pbe with colour=true", image_shape)

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """One bit for each byte and, with colour=true, one of six orders for each pixel; so many for each key."""
        height, width, channels = image_shape
        colour = math.log2(len(ORDERS)) if params["colour"] == "true" else 0.0
        return cls.pool(params) * height * width * (channels + colour)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `mask` and, with colour=true, `colour` of each secret, as `derive` describes."""
        height, width, _ = image_shape
        keys = []
        for secret in secrets:
            mask = FieldStream(secret, "mask").bits(int(np.prod(image_shape))).reshape(image_shape)
            colour = None
            if params["colour"] == "true":
                colour = (
                    FieldStream(secret, "colour").below(len(ORDERS), height * width).reshape(height, width)
                )
            keys.append(Key(mask, colour))
        return keys

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        if self._index is None:
            np.bitwise_xor(images, self._mask[keys], out=out)
        else:
            layout.take(images ^ self._mask[keys], self._index[keys], out)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        if self._index is None:
            np.bitwise_xor(images, self._mask[keys], out=out)
        else:
            layout.take(images, self._inverse[keys], out)
            np.bitwise_xor(out, self._mask[keys], out=out)
