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

from transforms.ciphers import logistic
from transforms.ciphers.base import Cipher, Shape
from transforms.ciphers.derive import FieldStream
from transforms.errors import CipherError


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

    title = "Ahmad & Shin, proposed scheme, eqs 2 and 4"

    def __init__(self, name: str, image_shape: Shape, params: Mapping[str, str], keys: Sequence[Key]) -> None:
        super().__init__(name, image_shape, params, len(keys))
        h, w, c = image_shape
        planes = c if params["channels"] == "independent" else 1
        length = planes * h * w
        for key in keys:
            logistic.check(key.mu, key.d0)
            k = np.asarray(key.k)
            if k.shape != (length,) or not np.isin(k, (0, 1)).all():
                raise CipherError(f"k must be {length} values of 0 or 1 for image shape {image_shape}")
        d = logistic.orbit(np.array([key.mu for key in keys]), np.array([key.d0 for key in keys]), length)
        if logistic.repeats(d).any():
            raise CipherError(
                f"the keystream runs into a cycle within the {length} values that this shape needs: choose "
                "another mu or d0"
            )
        k = np.stack([np.asarray(key.k, np.uint8) for key in keys])
        linked = k.reshape(-1, planes, h * w) == 1 if name == "lpe-50" else np.ones((1, 1, h * w), bool)
        linked[..., 0] = False
        if params["chain"] == "row":
            linked[..., ::w] = False
        self._channels = c
        # Laid out as the pixels are, channels interleaved: uint8 [keys or 1, H·W·C].
        self._t = _interleave((logistic.to_bytes(d) * k).reshape(-1, planes, h * w), c)
        # Entry j says which positions have at least 2^j linked positions in a row up to and including
        # themselves: 255 there, 0 elsewhere. Entry 0 is the link to the position before.
        runs = _linked_runs(linked)
        spans = [1 << j for j in range(int(runs.max()).bit_length())]
        self._reach = [_interleave(np.where(runs >= span, 255, 0).astype(np.uint8), c) for span in spans]

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        return {"chain": ("raster", "row"), "channels": ("shared", "independent")}

    @classmethod
    def check_shape(cls, image_shape: Shape, params: Mapping[str, str]) -> None:
        """Any H×W×C will do."""

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: Shape, params: Mapping[str, str]
    ) -> list[Key]:
        h, w, c = image_shape
        length = h * w * (c if params["channels"] == "independent" else 1)
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


def _interleave(planes: np.ndarray, channels: int) -> np.ndarray:
    """[K, P, n] plane after plane, P = C or 1 (the same for all channels), as [K, n·C] pixel after pixel."""
    every = np.broadcast_to(planes, (len(planes), channels, planes.shape[-1]))
    return np.ascontiguousarray(every.transpose(0, 2, 1)).reshape(len(planes), -1)
