"""Dominance: whether a control without a key does at least as well as a scheme, and gives away no more."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy over seeds.

    Attributes:
      mean: 0..1.
      spread: standard deviation, 0 for one seed.
      seeds: how many there were.
    """

    mean: float
    spread: float
    seeds: int

    def __str__(self) -> str:
        if self.seeds == 1:
            return f"{self.mean:.1%}"
        return f"{100 * self.mean:.1f} ± {100 * self.spread:.1f} %"


def noise(one: Accuracy, other: Accuracy, tested: int) -> float:
    """Points below which a difference of two accuracies says nothing: two standard errors.

    Of the spread over seeds, or of the choice of the test images, whichever is the larger: few seeds may agree by
    chance.
    """
    over_seeds = sum(accuracy.spread**2 / accuracy.seeds for accuracy in (one, other))
    over_images = sum(accuracy.mean * (1 - accuracy.mean) / tested for accuracy in (one, other))
    return 200 * math.sqrt(max(over_seeds, over_images))


@dataclasses.dataclass(frozen=True)
class Control:
    """What can be had without a key, as one axis of privacy has it.

    Attributes:
      title: the control.
      accuracy: of the network trained on it.
      given_away: how much it gives away; more is worse.
    """

    title: str
    accuracy: Accuracy
    given_away: float


@dataclasses.dataclass(frozen=True)
class Better:
    """A control that beats a scheme: it gives away no more, and a network learns no less from it.

    Attributes:
      control: its title.
      points: its accuracy less the scheme's.
      noise: points below which such a difference says nothing.
    """

    control: str
    points: float
    noise: float

    @property
    def clear(self) -> bool:
        """Whether it is also clearly more accurate, and not only as accurate as can be told."""
        return self.points > self.noise

    def __str__(self) -> str:
        return self.control if self.clear else f"{self.control} (≈)"

    def to_json(self) -> dict[str, Any]:
        """Its part of report.json."""
        return {"control": self.control, "points": round(self.points, 3), "noise": round(self.noise, 3)}


def better(accuracy: Accuracy, given_away: float, controls: Sequence[Control], tested: int) -> Better | None:
    """The control that beats a scheme; None if there is none.

    Of several it is one that is clearly more accurate, or else more accurate as measured, if there is such a one; of
    these the one that gives away least.

    Args:
      accuracy: the scheme's.
      given_away: how much the scheme gives away.
      controls: what can be had without a key.
      tested: how many images accuracies were measured on.
    """
    found = []
    for control in controls:
        points = 100 * (control.accuracy.mean - accuracy.mean)
        least = noise(accuracy, control.accuracy, tested)
        if control.given_away <= given_away and points >= -least:
            result = Better(control.title, points, least)
            found.append((not result.clear, points < 0, control.given_away, -points, result))
    return min(found, key=lambda entry: entry[:4])[-1] if found else None
