"""The proposed scheme of Ahmad and Shin, at 100 % and 50 % (paper, equations 1 to 4).

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

from transforms.ciphers import check, layout, logistic
from transforms.ciphers.base import Cipher, Shape
from transforms.ciphers.derive import FieldStream


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key:
    """Key material of lpe-100 and lpe-50.

    Attributes:
      mu: control parameter of the logistic map, in [3.57, 4].
      d0: its initial value, in (0, 1).
      k: uint8 of 0 and 1, [H·W], or [C·H·W] (plane after plane) with channels="independent".
    """

    mu: float
    d0: float
    k: np.ndarray

    def __reduce__(self) -> str:
        raise TypeError("key material must not be pickled")


class Lpe(Cipher):
    """lpe-100 and lpe-50.

    Parameters: `chain`: `raster` (equation 2: the position before in raster order) or `row`
    (equation 4 read literally: the position to the left, each row from 0); `channels`: `shared`
    (all planes use the same s and k) or `independent` (plane c uses values c·n … c·n + n − 1).
    """

    source = "Ahmad & Shin, the proposed scheme, eqs 1 to 4"
    keyed = "logistic map (mu, d0), which pixels are substituted (k)"
    broken_by = "no key removes the chain; one image half exact; 300 ciphertexts; 2 grey chosen images"

    def __init__(self, name: str, image_shape: Shape, params: Mapping[str, str], keys: Sequence[Key]) -> None:
        super().__init__(name, image_shape, params, len(keys))
        h, w, c = image_shape
        length = layout.values(image_shape, params)
        planes = length // (h * w)
        k = check.bits("k", [key.k for key in keys], (length,))
        s = logistic.keystreams([key.mu for key in keys], [key.d0 for key in keys], length)
        linked = k.reshape(-1, planes, h * w) == 1 if name == "lpe-50" else np.ones((1, 1, h * w), bool)
        linked[..., 0] = False
        if params["chain"] == "row":
            linked[..., ::w] = False
        self._channels = c
        # Laid out as the pixels are, channels interleaved: uint8 [keys or 1, H·W·C].
        self._t = layout.interleave((s * k).reshape(-1, planes, h * w), c)
        # Entry j says which positions have at least 2^j linked positions in a row up to and including
        # themselves: 255 there, 0 elsewhere. Entry 0 is the link to the position before.
        runs = _linked_runs(linked)
        spans = [1 << j for j in range(int(runs.max()).bit_length())]
        self._reach = [
            layout.interleave(np.where(runs >= span, 255, 0).astype(np.uint8), c) for span in spans
        ]

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        return {"chain": ("raster", "row"), **layout.CHANNELS}

    @classmethod
    def key_bits(cls, name: str, image_shape: Shape, params: Mapping[str, str]) -> float:
        return logistic.KEY_BITS + layout.values(image_shape, params)

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: Shape, params: Mapping[str, str]
    ) -> list[Key]:
        length = layout.values(image_shape, params)
        mu, d0 = logistic.derive(list(secrets), length)
        return [
            Key(float(mu[i]), float(d0[i]), FieldStream(secret, "k").bits(length))
            for i, secret in enumerate(secrets)
        ]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        t = self._t[keys]
        np.add(images, t, out=out)
        np.bitwise_xor(out, t, out=out)
        # Prefix-XOR by doubling: after step j a value covers up to 2^(j+1) positions.
        before = np.empty_like(out)
        for j, reach in enumerate(self._reach):
            self._xor_linked(out, out, reach, self._channels << j, keys, before)

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        t = self._t[keys]
        out[...] = images
        for reach in self._reach[:1]:
            self._xor_linked(images, out, reach, self._channels, keys, np.empty_like(out))
        np.bitwise_xor(out, t, out=out)
        np.subtract(out, t, out=out)

    @staticmethod
    def _xor_linked(
        source: np.ndarray, out: np.ndarray, reach: np.ndarray, shift: int, keys: slice, before: np.ndarray
    ) -> None:
        """out_i ^= source_(i − shift), all [M, H·W·C], where `reach` says so; `before` is scratch space."""
        mask = reach[keys] if len(reach) > 1 else reach
        np.bitwise_and(source[:, :-shift], mask[:, shift:], out=before[:, shift:])
        np.bitwise_xor(out[:, shift:], before[:, shift:], out=out[:, shift:])


def _linked_runs(linked: np.ndarray) -> np.ndarray:
    """For each position (bool [..., n]), how many linked ones in a row end there."""
    at = np.arange(linked.shape[-1])
    return at - np.maximum.accumulate(np.where(linked, 0, at), axis=-1)
