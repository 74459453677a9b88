"""The interface of all attacks: what an adversary has, and what an attack makes of it."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import numpy as np

from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions import Chain

Adversary = Literal["ciphertext-only", "known-plaintext", "chosen-plaintext", "learned"]
"""What an attack needs: ciphertexts, also pairs, also an oracle, or pairs on which a network is trained."""
Oracle = Callable[[np.ndarray], np.ndarray]
"""Encrypts images of the adversary's choice under the dataset's key: uint8 [N,H,W,C] -> the same."""
_NOTHING = Chain()


@dataclasses.dataclass(frozen=True)
class Target:
    """What is public about the encryption under attack (Kerckhoffs: everything but the key).

    Attributes:
      cipher: the scheme's name, e.g. `lpe-100`.
      params: all of its public parameters.
      scope: one key for the `dataset`, or one per `image`.
      image_shape: (H, W, C) of the ciphertexts.
      reduction: what was done to the images before they were encrypted.
      plain_shape: (H, W, C) of the images before that; None: that of the ciphertexts.
    """

    cipher: str
    params: Mapping[str, str]
    scope: Literal["dataset", "image"]
    image_shape: ImageShape
    reduction: Chain = _NOTHING
    plain_shape: ImageShape | None = None


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the adversary has.

    Attributes:
      target: the encryption under attack.
      ciphertexts: uint8 [N,H,W,C], of unknown images; all adversaries have some.
      known: (plaintexts, their ciphertexts), both uint8 [M,H,W,C]; known-plaintext adversaries have them.
      oracle: chosen-plaintext adversaries may ask it.
      public: uint8 [P,H,W,C], images like the owner's that everybody has, as they are before any reduction.
    """

    target: Target
    ciphertexts: np.ndarray
    known: tuple[np.ndarray, np.ndarray] | None = None
    oracle: Oracle | None = None
    public: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Recovery:
    """The result of an attack.

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
    """One attack: from evidence to a way of restoring images.

    Use does not change an attack, so that threads may share one: `learn` leaves the attack and its evidence as they
    are, and gives the same for the same evidence. So does the recovery, which may be used any number of times.
    """

    learns: ClassVar[bool] = True
    """Whether more evidence makes it better."""
    leaves_open: ClassVar[Literal["nothing", "negative", "mirror", "view"]] = "nothing"
    """What ciphertexts do not determine and a person sees at once: whether all images are negatives, or
    mirrored, left to right; or each image's view (turned, mirrored, negative, channels exchanged; see
    `photographs.all_views`)."""
    knows_pairs: ClassVar[bool] = False
    """Whether a network is trained on images of the owner's and their ciphertexts under the attacked key."""
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
        """Carries the attack out.

        Args:
          evidence: of a target that it applies to, with what its adversary has.

        Raises:
          ValueError: the evidence lacks what this adversary has.
        """
