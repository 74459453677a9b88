"""Chosen-plaintext attack on pbe: one flat image whose channels hold 0, 1, 2 and so on.

A byte is inverted exactly if more than 127 comes out; undoing that leaves the number of the channel that
it came from. One query gives the mask and the order of the channels, for any image shape (with the
shuffle: 3 channels). None would not do: two keys differ on every image.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import key_groups
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.codewords import is_permutation
from lpe.transforms.attacks.evidence import MisfitError, ask


class ChosenPbe(Attack):
    """One chosen image.

    The recovered key, by plain channel: `mask` uint8 [H,W,C] of 0 and 1; `order` int64 [H,W,C], the input
    channel that each output channel shows.
    """

    name = "chosen-pbe"
    adversary = "chosen-plaintext"
    source = "Chang & Case 2020, decrypt_samekey"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe with one key for the dataset."""
        return target.cipher == "pbe" and target.scope == "dataset" and key_groups.pool(target) == 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for an image of numbered channels.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        mask, order = key_of(ask(evidence, numbered(evidence.target, 1))[0], evidence.target)
        back = np.argsort(order, axis=2)
        return Recovery(
            lambda ciphertexts: upright(ciphertexts, back, mask), {"mask": mask, "order": order}, queries=1
        )


def numbered(target: Target, count: int) -> np.ndarray:
    """The image to ask for, so many times: its channels hold 0, 1, 2 if they are shuffled, else 0."""
    shape = target.image_shape
    numbers = np.arange(shape[2]) if target.params["colour"] == "true" else np.zeros(shape[2])
    return np.broadcast_to(numbers.astype(np.uint8), (count, *shape))


def key_of(answer: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """The mask (uint8 [H,W,C]) and order (int64 [H,W,C]) of `ChosenPbe`, as one ciphertext of `numbered` shows them.

    Raises:
      MisfitError: pbe has no such ciphertext.
    """
    inverted = answer > 127
    numbers_seen = np.where(inverted, 255 - answer, answer).astype(np.int64)
    shuffled = target.params["colour"] == "true"
    order = numbers_seen if shuffled else np.broadcast_to(np.arange(answer.shape[2]), answer.shape)
    if not is_permutation(order) or (not shuffled and numbers_seen.any()):
        raise MisfitError("the oracle's answer is none that pbe can give")
    back = np.argsort(order, axis=2)  # output channel that shows each plain one
    return np.take_along_axis(inverted, back, axis=2).astype(np.uint8), order


def upright(ciphertexts: np.ndarray, back: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The plaintext of uint8 [N,H,W,C].

    Args:
      ciphertexts: uint8 [N,H,W,C].
      back: the output channel that shows each plain one, int64 [H,W,C].
      mask: which bytes are inverted, by plain channel, uint8 [H,W,C] of 0 and 1.
    """
    return np.take_along_axis(ciphertexts, back[None], axis=3) ^ (mask * np.uint8(255))
