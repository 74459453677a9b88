"""Known-plaintext attack on pbe with a pool of keys: pairs that one key fits are under one key.

Two pairs under different keys have no key that fits both: half of the bytes say no. Which key another image has shows
in its ciphertext; see `key_groups`. Keys of which no pair is known stay unknown.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import key_groups
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.evidence import MisfitError, known_pairs
from lpe.transforms.attacks.key_pool import recovery
from lpe.transforms.attacks.known_pbe import fitting_key


class KnownKeyPool(Attack):
    """A pair for each key, without the shuffle; some more with it.

    The recovered key: `mask` and `order` of `KnownPbe`, of each key that there are pairs for, stacked.
    """

    name = "known-key-pool"
    adversary = "known-plaintext"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is pbe with a pool of keys."""
        return target.cipher == "pbe" and key_groups.pool(target) > 1

    def learn(self, evidence: Evidence) -> Recovery:
        """Puts each pair to the first others that a key fits together with it.

        Raises:
          ValueError: the evidence has no known pairs.
          MisfitError: they need more keys than the pool has, or no key fits one of them.
        """
        plain, cipher = known_pairs(evidence)
        shuffled = evidence.target.params["colour"] == "true"
        together: list[list[int]] = []
        keys: list[tuple[np.ndarray, np.ndarray]] = []
        for pair in range(len(plain)):
            for i, others in enumerate(together):
                try:
                    keys[i] = fitting_key(plain[[*others, pair]], cipher[[*others, pair]], shuffled)
                except MisfitError:
                    continue
                others.append(pair)
                break
            else:
                keys.append(fitting_key(plain[pair : pair + 1], cipher[pair : pair + 1], shuffled))
                together.append([pair])
        if len(keys) > key_groups.pool(evidence.target):
            raise MisfitError("the known pairs need more keys than the pool has")
        return recovery(keys)
