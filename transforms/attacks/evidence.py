"""Access to the evidence of chosen- and known-plaintext attacks: the oracle and the known pairs.

Both kinds need one key for the whole dataset. With a key per image what is learnt about the key of
one image says nothing about the next, so these attacks apply to scope `dataset` only.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks.base import Evidence


class MisfitError(ValueError):
    """The evidence is nothing that the scheme can give, under any key: there is no key to recover."""


def ask(evidence: Evidence, images: np.ndarray) -> np.ndarray:
    """The oracle's ciphertexts of chosen images, both uint8 [N,H,W,C].

    Raises:
      ValueError: there is no oracle.
      MisfitError: the oracle's answer has another shape or type.
    """
    if evidence.oracle is None:
        raise ValueError("a chosen-plaintext attack needs an oracle, and this evidence has none")
    answers = evidence.oracle(images)
    if answers.shape != images.shape or answers.dtype != np.uint8:
        raise MisfitError(f"the oracle gave {answers.dtype} of shape {answers.shape} for {images.shape}")
    return answers


def known_pairs(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Plaintexts and their ciphertexts, both uint8 [M,H,W,C].

    Raises:
      ValueError: there are none.
    """
    if evidence.known is None or not len(evidence.known[0]):
        raise ValueError("a known-plaintext attack needs pairs of images, and this evidence has none")
    return evidence.known
