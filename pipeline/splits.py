"""Which images of a source go to which split, and which shard, by arithmetic alone."""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Mapping

import numpy as np

from transforms.errors import UsageError

SHARD_BYTES = 128 * 1000 * 1000
"""The most that a shard should hold."""
_LEAST_SHARDS = 8
_LEAST_IMAGES = 64


@dataclasses.dataclass(frozen=True)
class SplitPart:
    """The images of an output split: some of one split of the source.

    Attributes:
      source: the source's split.
      size: how many images that has.
      fraction: the part of them that is cut off for validation; 0 for all of it.
      cut_off: whether this is the part cut off, or the rest.
    """

    source: str
    size: int
    fraction: fractions.Fraction = fractions.Fraction(0)
    cut_off: bool = False

    def __len__(self) -> int:
        taken = int(self.size * self.fraction)
        return taken if self.cut_off else self.size - taken

    def positions(self, start: int, stop: int) -> np.ndarray:
        """Positions in the source of this part's images start … stop − 1 (int64, ascending).

        The cut takes images at even distances (every tenth for 1/10), so that a source sorted by
        class is cut class by class; nothing proportional to the dataset is kept.
        """
        j = np.arange(start, stop, dtype=np.int64)
        p, q = self.fraction.numerator, self.fraction.denominator
        # Image i is cut off if floor((i + 1)·p/q) > floor(i·p/q).
        if self.cut_off:
            return -(-(j + 1) * q // p) - 1
        return j * q // (q - p)


def cut(splits: Mapping[str, int], validation_fraction: str | None) -> dict[str, SplitPart]:
    """The output splits of a source, empty ones left out.

    Args:
      splits: images per split of the source.
      validation_fraction: the part of `train` to become `validation`, as a decimal in (0, 1).

    Raises:
      UsageError: the fraction is none, there is no train split, or there is a validation split.
    """
    parts = {name: SplitPart(name, size) for name, size in splits.items()}
    if validation_fraction is not None:
        try:
            fraction = fractions.Fraction(validation_fraction)
        except (ValueError, ZeroDivisionError):
            fraction = fractions.Fraction(0)
        if not 0 < fraction < 1:
            raise UsageError(
                f"--validation-fraction must be between 0 and 1, e.g. 0.1, not {validation_fraction!r}"
            )
        if "train" not in parts or "validation" in parts:
            raise UsageError(
                f"--validation-fraction cuts `validation` from `train`; this source has {', '.join(parts)}"
            )
        size = splits["train"]
        validation = SplitPart("train", size, fraction, cut_off=True)
        rest = {name: part for name, part in parts.items() if name != "train"}
        parts = {"train": SplitPart("train", size, fraction), "validation": validation, **rest}
    return {name: part for name, part in parts.items() if len(part)}


def shard_bounds(images: int, bytes_per_image: int) -> list[tuple[int, int]]:
    """Start and stop of each shard: at most 128 MB each, at least 8 where there are images enough."""
    needed = -(-images * bytes_per_image // SHARD_BYTES)
    count = max(1, needed, min(_LEAST_SHARDS, images // _LEAST_IMAGES))
    return [(i * images // count, (i + 1) * images // count) for i in range(count)]
