"""Neutral ids, `SPLIT-NNNNNNN`, and the rule that a number is given once.

A dataset that is added to goes on after every number that was ever given in it, also to images that could not be
read. The ids of augmented copies end with `-augmented-COPY` and have the numbers of what they are copies of.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from lpe.pipeline.dataset.layout import copy_split
from lpe.transforms.errors import DataError

MOST_NUMBER = 10**12
"""The number after the highest one."""
_DIGITS = re.compile(r"[0-9]{7}|[1-9][0-9]{7,11}", re.ASCII)
_COPY = re.compile(r"(.+)_augmented_([1-9][0-9]{0,8})", re.ASCII)


def neutral_id(split: str, number: int) -> str:
    """The id of image `number` of a split."""
    return f"{split}-{number:07d}"


@dataclasses.dataclass(frozen=True)
class NumberRange:
    """The numbers first … after − 1 of a split."""

    first: int
    after: int

    def __len__(self) -> int:
        return self.after - self.first


class IdNumbers:
    """The numbers in the ids of one shard, as they come.

    Args:
      split: the shard's.
      allowed: the numbers that its ids may have; None for any ids.
    """

    def __init__(self, split: str, allowed: NumberRange | None = None) -> None:
        self._split = split
        self._allowed = allowed
        self._forms = [(f"{split}-", "")]
        if (copy := _COPY.fullmatch(split)) and copy_split(copy[1], int(copy[2])) == split:
            self._forms.append((f"{copy[1]}-", f"-augmented-{copy[2]}"))
        self._after: int | None = 0

    def add(self, ids: Iterable[str]) -> None:
        """Takes the ids of some images. Raises DataError for one that is not allowed."""
        if self._after is None and self._allowed is None:
            return
        for image_id in ids:
            number = self._number(image_id)
            if self._allowed is not None and (
                number is None or not self._allowed.first <= number < self._allowed.after
            ):
                raise DataError(
                    f"{self._split}: the id {ascii(image_id)[:100]} is none of the new images' (numbers "
                    f"{self._allowed.first} to {self._allowed.after - 1}): the source is not as it was written; "
                    "restore it from a copy or write it again"
                )
            if number is None:
                self._after = None
                return
            if self._after is not None:
                self._after = max(self._after, number + 1)

    def after(self) -> int | None:
        """The number after the highest one; None if an id is not neutral."""
        return self._after

    def _number(self, image_id: str) -> int | None:
        for prefix, suffix in self._forms:
            if image_id.startswith(prefix) and image_id.endswith(suffix):
                digits = image_id[len(prefix) : len(image_id) - len(suffix)]
                if _DIGITS.fullmatch(digits):
                    return int(digits)
        return None
