"""The scheme that Ahmad and Shin propose, learnable and chained, at 100 % and 50 % (paper, equations 1 to 4).

Per plane, with c_(−1) = 0:

    k_i = 1:  c_i = s_i ⊕ ((p_i + s_i) mod 256) ⊕ c_(i−1)
    k_i = 0:  c_i = p_i ⊕ c_(i−1)      lpe-100
              c_i = p_i                lpe-50

With the masked keystream t = k·s both substitutions are e_i = t_i ⊕ ((p_i + t_i) mod 256), and the
chain is a prefix-XOR of e that, where a position is not linked to the one before, starts anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lpe.transforms.ciphers import chain, check, layout, logistic
from lpe.transforms.ciphers.base import Cipher
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable

_PART_POSITIONS = 1 << 16  # of an image, at a time


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material of lpe-100 and lpe-50.

    Attributes:
      mu: control parameter of the logistic map, in [3.57, 4].
      d0: its initial value, in (0, 1).
      k: uint8 of 0 and 1, [H·W], or [C·H·W] (plane after plane) with channels="independent".
      s: uint8, as long as k, the keystream of mu and d0 where `derive_keys` has computed it; None has it computed.
    """

    mu: float
    d0: float
    k: np.ndarray
    s: np.ndarray | None = None


class Lpe(Cipher):
    """lpe-100 and lpe-50.

    Parameters: `chain`: `raster` (equation 2: the position before in raster order) or `row`
    (equation 4 read literally: the position to the left, each row from 0); `channels`: `shared`
    (all planes use the same s and k) or `independent` (plane c uses values c·n … c·n + n − 1).
    """

    source = "Ahmad & Shin, the proposed scheme, eqs 1 to 4"
    keyed = "logistic map (mu, d0), which pixels are substituted (k)"
    broken_by = (
        "no key removes the chain; one ciphertext is recognisable; some 30 give the key; 1 or 2 chosen images"
    )

    def __init__(
        self, name: str, image_shape: ImageShape, params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        h, w, c = image_shape
        length = layout.values(image_shape, params)
        planes = length // (h * w)
        k = check.bits("k", [key.k for key in keys], (length,))
        s = logistic.keystreams(
            [key.mu for key in keys], [key.d0 for key in keys], [key.s for key in keys], length
        )
        self._part = _PART_POSITIONS * c
        # Laid out as the pixels are, channels interleaved: uint8 [keys, H·W·C].
        self._t = layout.interleave((s * k).reshape(-1, planes, h * w), c)
        if name == "lpe-100" and params["chain"] == "raster":
            self._chain: chain.Chain = chain.RasterChain(c)
        else:
            linked = k.reshape(-1, planes, h * w) == 1 if name == "lpe-50" else np.ones((1, 1, h * w), bool)
            linked[..., 0] = False
            if params["chain"] == "row":
                linked[..., ::w] = False
            self._chain = chain.LinkedChain(linked, c)

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """`chain` and `channels`."""
        return {"chain": ("raster", "row"), **layout.CHANNELS}

    @classmethod
    def key_bits(cls, name: str, image_shape: ImageShape, params: Mapping[str, str]) -> float:
        """The map's two numbers, and one bit for each keystream value."""
        return logistic.KEY_BITS + layout.values(image_shape, params)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: ImageShape, params: Mapping[str, str]
    ) -> list[Key]:
        """The fields `mu`, `d0` and `k` of each secret, as `derive` describes."""
        length = layout.values(image_shape, params)
        mu, d0, s = logistic.derive(list(secrets), length)
        return [
            Key(float(mu[i]), float(d0[i]), FieldStream(secret, "k").bits(length), s[i])
            for i, secret in enumerate(secrets)
        ]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        # A large image is encrypted a part at a time, so that all of this stays in the second-level cache.
        for start in range(0, images.shape[1], self._part):
            part = slice(start, start + self._part)
            t = self._t[keys, part]
            e = np.add(images[:, part], t, order="C")
            np.bitwise_xor(e, t, out=e)
            self._chain.forward(e, out, keys, start)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        t = self._t[keys]
        self._chain.backward(images, out, keys)
        np.bitwise_xor(out, t, out=out)
        np.subtract(out, t, out=out)
