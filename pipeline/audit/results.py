"""Results of attacks on an encryption."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lpe.pipeline.audit import verdict
from lpe.pipeline.audit.bound import Bound
from lpe.pipeline.audit.quality import Quality
from lpe.transforms.attacks.base import Adversary, Target


@dataclasses.dataclass(frozen=True)
class Reidentification:
    """How well somebody who holds photographs finds the one that a ciphertext was made of.

    Attributes:
      first: the share of held-out ciphertexts whose own photograph is ranked first; ties count as chance does.
      median: the median rank of the right photograph, from 1.
      candidates: how many photographs there are, the right one among them.
      by: the attack, or the statistic of ciphertexts, that ranks them.
    """

    first: float
    median: float
    candidates: int
    by: str

    @property
    def floor(self) -> float:
        """The share that a guess names right."""
        return 1 / self.candidates

    def to_json(self) -> dict[str, float | int | str]:
        """The figures, rounded."""
        return {
            "first": round(self.first, 4),
            "median": round(self.median, 1),
            "candidates": self.candidates,
            "by": self.by,
        }


@dataclasses.dataclass(frozen=True)
class AttackResult:
    """One attack on one encryption, measured on images that it did not learn from.

    What the attack leaves open (`Attack.leaves_open`), and a person would settle at a glance, is settled in its
    favour in all figures and images.

    Attributes:
      attack: its name.
      adversary: the adversary who can carry it out.
      images: how many ciphertexts, pairs or chosen images it had.
      seconds: learning and restoring the held-out images.
      quality: of the held-out images that it restored.
      curve: (number of images, quality) for each number of images that was tried, fewest first.
      restored: the first held-out images, restored, uint8 [N, H, W, C].
      reidentification: how well photographs are told apart by what it restored; None where that was not measured.
    """

    attack: str
    adversary: Adversary
    images: int
    seconds: float
    quality: Quality
    curve: tuple[tuple[int, Quality], ...]
    restored: np.ndarray
    reidentification: Reidentification | None = None


@dataclasses.dataclass(frozen=True)
class SchemeAudit:
    """All attacks on one encryption.

    Attributes:
      target: the encryption.
      results: of each attack.
      ciphertext: the raw ciphertext, taken as the image.
      floor: what a useless attack reaches: the images' mean colour everywhere.
      plain: the first held-out images, uint8 [N, H, W, C].
      encrypted: their ciphertexts.
      without_attack: how well photographs are told apart by the ciphertext as it is, and by its statistics.
      reidentification: the best that ciphertexts alone allow; None where that was not measured.
      public: how many public images attacks on the reduction learnt from.
      bound: what no attack exceeds, where that is known.
    """

    target: Target
    results: tuple[AttackResult, ...]
    ciphertext: Quality
    floor: Quality
    plain: np.ndarray
    encrypted: np.ndarray
    without_attack: tuple[Reidentification, ...] = ()
    reidentification: Reidentification | None = None
    public: int = 0
    bound: Bound | None = None

    @property
    def verdict(self) -> str:
        """What the figures mean, in some sentences."""
        return verdict.verdict(self)

    def best(self, adversary: Adversary) -> AttackResult | None:
        """The attack of an adversary that restored most, with the fewest images; None if there was none."""
        results = [result for result in self.results if result.adversary == adversary]
        return max(results, key=lambda result: (result.quality.psnr, -result.images), default=None)

    def to_json(self) -> dict[str, Any]:
        """This encryption's entry in report.json."""
        return {
            "cipher": self.target.cipher,
            "params": dict(self.target.params),
            "scope": self.target.scope,
            "reduction": str(self.target.reduction),
            "public": self.public,
            "bound": None if self.bound is None else self.bound.to_json(),
            "ciphertext": self.ciphertext.to_json(),
            "attacks": [
                {
                    "name": result.attack,
                    "adversary": result.adversary,
                    "images": result.images,
                    **result.quality.to_json(),
                    "seconds": round(result.seconds, 2),
                    "floor": self.floor.to_json(),
                    "reidentification": _json(result.reidentification),
                    "curve": [{"images": count, **quality.to_json()} for count, quality in result.curve],
                }
                for result in self.results
            ],
            "reidentification": _json(self.reidentification),
            "without_attack": [each.to_json() for each in self.without_attack],
            "verdict": self.verdict,
        }


def _json(reidentification: Reidentification | None) -> dict[str, float | int | str] | None:
    return None if reidentification is None else reidentification.to_json()
