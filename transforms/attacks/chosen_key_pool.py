"""Chosen-plaintext attack on pbe with a pool of keys: the one image of `chosen_pbe`, until all keys have answered.

Each answer is under a key of the pool that nobody chose, and there are as many different answers as keys. So many are
asked for that with any pool a key is missed in one case of a thousand.
"""

from __future__ import annotations

import math

import numpy as np

from lpe.transforms.attacks import key_groups
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.chosen_pbe import key_of, numbered
from lpe.transforms.attacks.evidence import MisfitError, ask
from lpe.transforms.attacks.key_pool import recovery

_MISSED = 1e-3
"""The probability that a key does not answer."""


class ChosenKeyPool(Attack):
    """Some nine chosen images for each key, all the same.

    The recovered key: `mask` and `order` of `ChosenPbe`, of each key that answered, stacked.
    """

    name = "chosen-key-pool"
    adversary = "chosen-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe with a pool of keys."""
        return target.cipher == "pbe" and key_groups.pool(target) > 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Asks for an image of numbered channels again and again.

        Raises:
          ValueError: the evidence has no oracle.
          MisfitError: the oracle's answers are none that the scheme can give.
        """
        pool = key_groups.pool(evidence.target)
        queries = math.ceil(math.log(_MISSED / pool) / math.log1p(-1 / pool))
        answers = np.unique(ask(evidence, numbered(evidence.target, queries)), axis=0)
        if len(answers) > pool:
            raise MisfitError("the oracle has more keys than the pool")
        return recovery([key_of(answer, evidence.target) for answer in answers], queries)
