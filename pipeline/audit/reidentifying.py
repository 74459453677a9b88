"""Re-identification in an experiment: by what attacks restored, and by what needs no attack."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping

import numpy as np

from lpe.pipeline.audit.experiment import Experiment, encrypt_each
from lpe.pipeline.audit.results import Reidentification
from lpe.pipeline.audit.verdict import AS_IT_IS
from lpe.transforms.attacks import Adversary, Attack
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.reductions import Chain
from lpe.transforms.reidentification import (
    CORRELATED,
    Candidates,
    LeavesOpen,
    Ranking,
    best,
    by_statistics,
    ranked,
)

_ALONE: tuple[Adversary, ...] = ("ciphertext-only", "learned")
_MEASURED = 200
_PUBLIC = 200
"""Held-out images that are looked for, and images that an attacker encrypts, at most."""


class Reidentifying:
    """Somebody who holds photographs, some of them the held-out ones, and the ciphertexts of those.

    They know the scheme and the reduction, but no secrets: candidates are reduced without what is random.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._target = experiment.target
        self._encrypted = experiment.held_out[1][:_MEASURED]
        self._public = experiment.plain[:_PUBLIC]
        self._photographs = experiment.candidates
        self._rankings: dict[str, Ranking] = {}

    def by_attack(self, attack: Attack, restored: np.ndarray) -> Reidentification:
        """Ranks the candidates by what an attack restored, which counts for `best` if it needs ciphertexts alone.

        Args:
          attack: the attack.
          restored: uint8 [M, H, W, C], the held-out images, as they were or reduced, in whatever view.
        """
        ranking = self._correlated(restored[: len(self._encrypted)], attack.leaves_open)
        if attack.adversary in _ALONE and not attack.knows_pairs:
            self._rankings[attack.name] = ranking
        return self._measured(attack.name, ranking)

    @functools.cached_property
    def without_attack(self) -> tuple[Reidentification, ...]:
        """By the released image as it is, and by the best of its statistics."""
        public = self._target.reduction.apply(self._public, secrets.token_bytes(SECRET_BYTES))
        scores = by_statistics(
            self._encrypted, self._reduced.images, (public, encrypt_each(self._target, public))
        )
        name, by_statistic = best(self._ranked(scores))
        name = name.removesuffix(CORRELATED)
        self._rankings = {
            AS_IT_IS: self._correlated(self._encrypted, "nothing"),
            name: by_statistic,
            **self._rankings,
        }
        return tuple(self._measured(each, self._rankings[each]) for each in (AS_IT_IS, name))

    @property
    def best(self) -> Reidentification:
        """The best of all that ciphertexts alone allow; of equals the one that needs least."""
        assert self.without_attack
        name = max(self._rankings, key=lambda each: float((1 / self._rankings[each].rank).mean()))
        return self._measured(name, self._rankings[name])

    def _correlated(self, restored: np.ndarray, leaves_open: LeavesOpen) -> Ranking:
        """The best ranking by correlation with the candidates, and with reduced ones, that have the same shape."""
        scores = {
            f"{form} {name}": each
            for form, candidates in self._forms.items()
            if candidates.images.shape[1:] == restored.shape[1:]
            for name, each in candidates.correlations(restored, leaves_open).items()
        }
        return best(self._ranked(scores))[1]

    def _ranked(self, scores: Mapping[str, np.ndarray]) -> dict[str, Ranking]:
        right = np.arange(len(self._encrypted))
        return {name: ranked(each, right) for name, each in scores.items()}

    @functools.cached_property
    def _reduced(self) -> Candidates:
        known = Chain(tuple(step for step in self._target.reduction.steps if not step.random))
        return Candidates(known.apply(self._photographs))

    @functools.cached_property
    def _forms(self) -> dict[str, Candidates]:
        if not self._target.reduction:
            return {"reduced": self._reduced}
        return {"reduced": self._reduced, "plain": Candidates(self._photographs)}

    def _measured(self, name: str, ranking: Ranking) -> Reidentification:
        return Reidentification(
            first=float(ranking.first.mean()),
            median=float(np.median(ranking.rank)),
            candidates=len(self._photographs),
            by=name,
        )
