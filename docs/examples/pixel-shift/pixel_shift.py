"""A scheme of one's own, and the attack that breaks it: each byte is shifted by a secret amount of its position."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

import lpe
from lpe.transforms.ciphers.derive import FieldStream
from lpe.transforms.not_picklable import NotPicklable


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Key(NotPicklable):
    """Key material: `shift`, uint8 [H, W, C], what is added to each byte."""

    shift: np.ndarray


class Shift(lpe.ciphers.Cipher):
    """c = p + shift modulo 256. Parameter: `direction`, whether it is added (`up`) or subtracted (`down`)."""

    source = "ours, an example"
    keyed = "what is added to each byte (shift)"
    broken_by = "1 known image"

    def __init__(
        self, name: str, image_shape: tuple[int, int, int], params: Mapping[str, str], keys: Sequence[Key]
    ) -> None:
        super().__init__(name, image_shape, params, keys)
        shift = np.stack([key.shift for key in keys]).reshape(len(keys), -1)  # one row a key
        self._shift = shift if params["direction"] == "up" else -shift

    @classmethod
    def default_params(cls) -> Mapping[str, tuple[str, ...]]:
        """`direction`."""
        return {"direction": ("up", "down")}

    @classmethod
    def key_bits(cls, name: str, image_shape: tuple[int, int, int], params: Mapping[str, str]) -> float:
        """Eight for each byte."""
        return 8.0 * float(np.prod(image_shape))

    @classmethod
    def derive_keys(
        cls, secrets: Sequence[bytes], image_shape: tuple[int, int, int], params: Mapping[str, str]
    ) -> list[Key]:
        """`shift` is the field of this name of each secret."""
        size = int(np.prod(image_shape))
        streams = [FieldStream(secret, "shift") for secret in secrets]
        return [Key(np.frombuffer(stream.take(size), np.uint8).reshape(image_shape)) for stream in streams]

    def _encrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        np.add(images, self._shift[keys], out=out)  # uint8 wraps around

    def _decrypt(self, images: np.ndarray, out: np.ndarray, keys: slice) -> None:
        np.subtract(images, self._shift[keys], out=out)


class KnownShift(lpe.attacks.Attack):
    """The difference of one known image and its ciphertext is the key."""

    name = "known-shift"
    adversary = "known-plaintext"
    source = "ours, an example"

    def applies_to(self, target: lpe.attacks.Target) -> bool:
        """Whether the target is `shift` with one key for the dataset."""
        return target.cipher == "shift" and target.scope == "dataset"

    def learn(self, evidence: lpe.attacks.Evidence) -> lpe.attacks.Recovery:
        """Takes the first pair."""
        if evidence.known is None:
            raise ValueError("known-shift needs known images")
        plain, ciphertexts = evidence.known
        shift = ciphertexts[0] - plain[0]
        return lpe.attacks.Recovery(lambda images: images - shift, {"shift": shift})
