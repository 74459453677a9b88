"""What an adversary has, what an attack makes of it, and the interface of all attacks."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import numpy as np

Adversary = Literal["ciphertext-only", "known-plaintext", "chosen-plaintext", "learned"]
Oracle = Callable[[np.ndarray], np.ndarray]
"""Encrypts images of the adversary's choice under the dataset's key: uint8 [N,H,W,C] -> the same."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What is public about the encryption under attack (Kerckhoffs: everything but the key).

    Attributes:
      cipher: the scheme's name, e.g. `lpe-100`.
      params: all of its public parameters.
      scope: one key for the `dataset`, or one per `image`.
      image_shape: (H, W, C).
    """

    cipher: str
    params: Mapping[str, str]
    scope: Literal["dataset", "image"]
    image_shape: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the adversary has.

    Attributes:
      target: the encryption.
      ciphertexts: uint8 [N,H,W,C], of unknown images; all adversaries have some.
      known: (plaintexts, their ciphertexts), both uint8 [M,H,W,C]; known-plaintext adversaries have them.
      oracle: chosen-plaintext adversaries may ask it.
    """

    target: Target
    ciphertexts: np.ndarray
    known: tuple[np.ndarray, np.ndarray] | None = None
    oracle: Oracle | None = None


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What an attack came to.

    Attributes:
      restore: estimates the plaintext of ciphertexts, of those attacked or any others of the dataset:
        uint8 [N,H,W,C] -> uint8 [N,H,W,C].
      key: key material that was recovered, or what is equivalent to it; empty if none is claimed.
      queries: chosen images that were asked for.
    """

    restore: Callable[[np.ndarray], np.ndarray]
    key: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    queries: int = 0


class Attack(abc.ABC):
    """One attack: from evidence to a way of restoring images. Attacks hold no state."""

    learns: ClassVar[bool] = True
    """Whether more evidence makes it better."""
    leaves_open: ClassVar[Literal["nothing", "mirror", "view"]] = "nothing"
    """What ciphertexts can't tell and a person sees at once: whether all images are mirrored, left to right; or
    each image's view (turned, mirrored, negative, channels exchanged; see `photographs.all_views`)."""
    name: ClassVar[str]
    """A short name, e.g. `dechain`."""
    adversary: ClassVar[Adversary]
    """What it needs."""
    source: ClassVar[str]
    """Who published it, or that it is ours, in one line."""

    @abc.abstractmethod
    def applies_to(self, target: Target) -> bool:
        """Whether the attack is meant for this encryption."""

    @abc.abstractmethod
    def learn(self, evidence: Evidence) -> Recovery:
        """Carries it out. Raises ValueError if the evidence lacks what this adversary has."""
