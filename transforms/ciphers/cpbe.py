"""Chaotic pixel-based encryption, at 100 % and 50 % (Ahmad and Shin, arXiv 2203.16780; paper, [6]).

The logistic-map keystream s is shuffled by a second key, t = s[shuffle], and

    cpbe-100:  c_i = p_i ⊕ t_i
    cpbe-50:   c_i = p_i ⊕ t_i where k_i = 1, else p_i
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import check, layout, logistic
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of cpbe-100 and cpbe-50; n is H·W, or C·H·W with channels="independent".

    Attributes:
      mu: control parameter of the logistic map, in [3.57, 4].
      d0: its initial value, in (0, 1).
      shuffle: int [n], a permutation.
      k: uint8 [n] of 0 and 1; cpbe-100 does not look at it.
      s: uint8 [n], the keystream of mu and d0 where `derive_keys` has computed it; None has it computed.
    """

    mu: float
    d0: float
    shuffle: np.ndarray
    k: np.ndarray
    s: np.ndarray | None = None


class Cpbe(Cipher):
    """cpbe-100 and cpbe-50.

    Parameter: `channels`: `shared` (all planes use the same t and k) or `independent` (plane c uses
    values c·n … c·n + n − 1 of one longer sequence).
    """

    source = "Ahmad & Shin 2022, CPBE [6]"
    keyed = "logistic map (mu, d0), shuffle of its values, which pixels (k)"
    broken_by = "some 30 ciphertexts; any known image, e.g. all zeros, shows the keystream"

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        length = layout.values(image_shape, params)
        shuffle = check.permutations("shuffle", [key.shuffle for key in keys], (length,))
        k = check.bits("k", [key.k for key in keys], (length,))
        s = logistic.keystreams(
            [key.mu for key in keys], [key.d0 for key in keys], [key.s for key in keys], length
        )
        t = np.take_along_axis(s, shuffle, axis=1)
        if name == "cpbe-50":
            t *= k
        height, width, channels = image_shape
        # Laid out as the pixels are, channels interleaved: uint8 [keys, H·W·C].
        self._t = layout.interleave(t.reshape(len(keys), -1, height * width), channels)

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """`channels`."""
        return layout.CHANNELS

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """The map's two numbers, the shuffle and, in cpbe-50, one bit for each keystream value."""
        length = layout.values(image_shape, params)
        return (
            logistic.KEY_BITS + math.lgamma(length + 1) / math.log(2) + (length if name == "cpbe-50" else 0)
        )

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `mu`, `d0`, `shuffle` and `k` of each secret, as `derive` describes."""
        length = layout.values(image_shape, params)
        mu, d0, s = logistic.derive(list(secrets), length)
        return [
            Key(
                float(mu[i]),
                float(d0[i]),
                FieldStream(secret, "shuffle").permutation(length),
                FieldStream(secret, "k").bits(length),
                s[i],
            )
            for i, secret in enumerate(secrets)
        ]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        np.bitwise_xor(images, self._t[keys], out=out)

    _decrypt = _encrypt
