"""The numbers that were given to images under one key and salt, so that no number ever meets two images.

With one key per image, its key comes from the salt and its id. Who adds to a dataset, loses what was written and adds
something else, or adds to two copies of it, would have one key meet two images: the audit log remembers who was
given which numbers, before anything is encrypted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

NUMBERS_GIVEN = "numbers given"
"""The event that numbers of a split were given to the images of a job."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """The numbers that a job wants for the new images of one split.

    Attributes:
      split: its name.
      first, after: the numbers are first … after − 1.
      images: what tells the images from others, part by part: `images[n − 1]` stands for those of the first n parts.
      fixed: the images have these numbers already; others are given the next ones that are free.
    """

    split: str
    first: int
    after: int
    images: tuple[str, ...]
    fixed: bool


@dataclasses.dataclass(frozen=True)
class Conflict:
    """Numbers that were given to other images: first … after − 1."""

    first: int
    after: int


def settle(claim: Claim, events: Iterable[Mapping[str, Any]], salt: str) -> tuple[Claim, bool] | Conflict:
    """What a job is given.

    Args:
      claim: what it wants.
      events: the lines of the audit log.
      salt: the dataset's.

    Returns:
      Its numbers, and whether the log says so already; or what is in the way.
    """
    size, end = claim.after - claim.first, claim.first
    for event in events:
        if event["event"] != NUMBERS_GIVEN or (event.get("salt"), event.get("split")) != (salt, claim.split):
            continue
        first, after, parts = (_number(event, name) for name in ("first", "after", "parts"))
        same = 1 <= parts <= len(claim.images) and claim.images[parts - 1] == event.get("images")
        whole = same and parts == len(claim.images) and after - first == size
        if whole and (not claim.fixed or first == claim.first):
            return dataclasses.replace(claim, first=first, after=after), True
        begins = same and first == claim.first and after <= claim.after
        if claim.fixed and not begins and first < claim.after and claim.first < after:
            return Conflict(first, after)
        end = max(end, after)
    if claim.fixed:
        return claim, False
    return dataclasses.replace(claim, first=end, after=end + size), False


def _number(event: Mapping[str, Any], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else 0
