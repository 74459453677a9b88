"""Ciphertext-only attack on pbe with a pool of keys: images are grouped by key, then each key's mask is found.

A pool asks for as many ciphertexts as its keys together, and an image's group shows at once; see `key_groups` and
`negatives`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.attacks import key_groups
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.chosen_pbe import upright
from lpe.transforms.attacks.negatives import Negatives

_MOST_IMAGES = 1 << 12
"""More teach nothing."""


class KeyPool(Attack):
    """A few ciphertexts under each key.

    The recovered key: what `Negatives` recovers, of each key that images were found for, stacked.
    """

    name = "key-pool"
    adversary = "ciphertext-only"
    source = "ours"
    leaves_open = "negative"  # of photographs it is settled

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe with a pool of keys."""
        return target.cipher == "pbe" and key_groups.pool(target) > 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Groups the ciphertexts, and solves each group by itself."""
        ciphertexts = evidence.ciphertexts[:_MOST_IMAGES]
        features = key_groups.signs_of(ciphertexts)
        centres = key_groups.groups(features, key_groups.pool(evidence.target))
        which = key_groups.assign(features, centres)
        solved = [
            Negatives().learn(dataclasses.replace(evidence, ciphertexts=ciphertexts[which == i]))
            for i in range(len(centres))
        ]
        restore = key_groups.restoring(centres, [one.restore for one in solved])
        return Recovery(
            restore, {name: np.stack([one.key[name] for one in solved]) for name in solved[0].key}
        )


def recovery(keys: list[tuple[np.ndarray, np.ndarray]], queries: int = 0) -> Recovery:
    """The recovery by known keys of the pool.

    Args:
      keys: the mask (uint8 [H,W,C]) and order (int64 [H,W,C]) of each, as `ChosenPbe` has them.
      queries: chosen images that were asked for.
    """
    masks, orders = (np.stack(each) for each in zip(*keys, strict=True))

    def restorer(mask: np.ndarray, order: np.ndarray) -> key_groups.Restore:
        back = np.argsort(order, axis=2)
        return lambda ciphertexts: upright(ciphertexts, back, mask)

    centres = key_groups.signs(np.take_along_axis(masks, orders, axis=3) == 1)
    restore = key_groups.restoring(centres, [restorer(*key) for key in keys])
    return Recovery(restore, {"mask": masks, "order": orders}, queries)
