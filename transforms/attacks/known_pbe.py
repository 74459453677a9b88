"""Known-plaintext attack on pbe: a pixel's key is one of 8 masks times (colour=true) 6 channel orders.

Without the shuffle one pair gives the mask, since p and 255 − p are never equal. With it a pair leaves a pixel
open only where its channels, or one and another's inverse, are equal: each further pair narrows it.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import key_groups
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.chosen_pbe import upright
from lpe.transforms.attacks.evidence import MisfitError, known_pairs
from lpe.transforms.ciphers.colour import ORDERS


class KnownPbe(Attack):
    """One pair without the shuffle; some more with it.

    The recovered key: `mask` uint8 [H,W,C] of 0 and 1, by plain channel; `order` int64 [H,W,C], the
    input channel that each output channel shows.
    """

    name = "known-pbe"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe with one key for the dataset."""
        return target.cipher == "pbe" and target.scope == "dataset" and key_groups.pool(target) == 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Takes the first key that fits, pixel by pixel.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: no key of the scheme fits them.
        """
        mask, order = fitting_key(*known_pairs(evidence), evidence.target.params["colour"] == "true")
        back = np.argsort(order, axis=2)
        return Recovery(lambda ciphertexts: upright(ciphertexts, back, mask), {"mask": mask, "order": order})


def fitting_key(plain: np.ndarray, cipher: np.ndarray, shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first key that fits, pixel by pixel: the mask (uint8 [H,W,C]) and order (int64 [H,W,C]) of `KnownPbe`.

    Args:
      plain: uint8 [N,H,W,C].
      cipher: their ciphertexts.
      shuffled: whether channels are.

    Raises:
      MisfitError: no key fits.
    """
    channels = plain.shape[3]
    orders = ORDERS if shuffled else np.arange(channels)[None]
    # Whether output channel j can be input channel i as it is or inverted: bool [2, C out, C in, H, W].
    fits = np.array(
        [
            [[(cipher[..., j] == side[..., i]).all(axis=0) for i in range(channels)] for j in range(channels)]
            for side in (plain, np.uint8(255) - plain)
        ]
    )
    either = fits[0] | fits[1]
    possible = np.array([either[np.arange(channels), order].all(axis=0) for order in orders])
    if not possible.any(axis=0).all():
        raise MisfitError("no key of pbe fits the known pairs")
    order = orders[possible.argmax(axis=0)]  # [H,W,C], the first that fits
    back = np.argsort(order, axis=2)
    rows, columns = np.indices(back.shape[:2])[..., None]
    return fits[1, back, np.arange(channels), rows, columns].astype(np.uint8), order
