"""An estimate of how long attacks take, before they are carried out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from lpe.pipeline.audit.attacking import counts
from lpe.pipeline.audit.experiment import attacked_and_held_out
from lpe.transforms import attacks
from lpe.transforms.attacks import Adversary, Attack, Target
from lpe.transforms.attacks.linear import Linear


@dataclasses.dataclass(frozen=True)
class _Cost:
    """The cost of an attack on images of 32×32×3, in seconds of one core.

    Attributes:
      trial: once for each number of images that it is tried with.
      learnt: for each image that it learns from.
      restored: for each image that it restores, in each trial.
      power: of the number of values in an image that all of that grows with.
    """

    trial: float = 0.0
    learnt: float = 0.0
    restored: float = 0.0
    power: float = 1.0


_SIZE = 32 * 32 * 3
_COSTS = {
    "one-image": _Cost(restored=0.01),
    "one-image-nibbles": _Cost(restored=0.08, power=0.4),
    "smoothness": _Cost(trial=0.08, learnt=0.001),
    "negatives": _Cost(trial=0.005, learnt=0.00002),
    "nibble-statistics": _Cost(trial=0.15, power=0),
    "nibble-jigsaw": _Cost(trial=4, power=0.3),
    "jigsaw": _Cost(trial=0.1, learnt=0.0002),
    "linear": _Cost(trial=8, restored=0.001, power=0.2),
}
_PER_IMAGE_KEY = {"negatives": _Cost(restored=0.0025)}
"""Of attacks that do something else where each image has its own key."""
_LITTLE = _Cost(restored=0.0005)
_LEARNED = _Cost(learnt=0.08)
"""Of the networks that are trained to invert the encryption."""


def attack_seconds(target: Target, images: int, adversaries: Sequence[Adversary]) -> float:
    """About how long all attacks on an encryption take.

    Args:
      target: the encryption.
      images: how many there are, those held out among them.
      adversaries: those who attack.
    """
    available, restored = attacked_and_held_out(images)
    trials = [
        (_cost(attack, target), count)
        for attack in attacks.against(target)
        if attack.adversary in adversaries
        for count in counts(attack, target, available)
    ]
    if target.reduction and target.cipher != "plain":
        trials.append((_COSTS[Linear.name], 1))
    if "learned" in adversaries:
        trials.append((_LEARNED, available))
    size = math.prod(target.plain_shape or target.image_shape) / _SIZE
    return sum(
        (cost.trial + cost.learnt * count + cost.restored * restored) * math.pow(size, cost.power)
        for cost, count in trials
    )


def _cost(attack: Attack, target: Target) -> _Cost:
    if target.scope == "image" and attack.name in _PER_IMAGE_KEY:
        return _PER_IMAGE_KEY[attack.name]
    return _COSTS.get(attack.name, _LITTLE)
