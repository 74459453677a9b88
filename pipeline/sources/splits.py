"""The division of a source's images among splits and shards, by arithmetic alone."""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Mapping

import numpy as np

from lpe.transforms.errors import UsageError

SHARD_BYTES = 128 * 1000 * 1000
"""The most bytes that a shard should hold, but for splits that would have too many shards."""
_MOST_SHARDS = 10_000
_LARGEST_SHARD_BYTES = 1000 * 1000 * 1000  # TFDS's own limit is about this
_LEAST_SHARDS = 8
_LEAST_IMAGES = 64


@dataclasses.dataclass(frozen=True)
class SplitPart:
    """The images of an output split: some of one split of the source.

    Attributes:
      source_split: the source's split.
      size: how many images that split has.
      fraction: the part of them that is cut off for validation; 0 for all of it.
      cut_off: whether this is the part cut off, or the rest.
    """

    source_split: str
    size: int
    fraction: fractions.Fraction = fractions.Fraction(0)
    cut_off: bool = False

    def __len__(self) -> int:
        taken = int(self.size * self.fraction)
        return taken if self.cut_off else self.size - taken

    def positions(self, start: int, stop: int) -> Positions:
        """Positions in the source of this part's images start … stop − 1."""
        return Positions(self, start, stop)


@dataclasses.dataclass(frozen=True)
class Positions:
    """Ascending positions in a source, by arithmetic: as small for a million images as for one.

    The cut takes images at even distances (every tenth for 1/10), so that a source sorted by class is cut class
    by class. Slices of it, and `numpy.asarray`, give int64 arrays.
    """

    part: SplitPart
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, which: slice) -> np.ndarray:
        first, last, step = which.indices(len(self))
        j = np.arange(self.start + first, self.start + last, step, dtype=np.int64)
        p, q = self.part.fraction.numerator, self.part.fraction.denominator
        # Image i is cut off if floor((i + 1)·p/q) > floor(i·p/q).
        if self.part.cut_off:
            return -(-(j + 1) * q // p) - 1
        return j * q // (q - p)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.int64, copy=False)


def parse_fraction(text: str) -> fractions.Fraction:
    """The part of `train` that a decimal in (0, 1) stands for, exactly. Raises UsageError for another text."""
    try:
        fraction = fractions.Fraction(text)
    except (ValueError, ZeroDivisionError):
        fraction = fractions.Fraction(0)
    if not 0 < fraction < 1:
        raise UsageError(f"--validation-fraction must be between 0 and 1, e.g. 0.1, not {text!r}")
    return fraction


def cut(splits: Mapping[str, int], validation_fraction: str | None) -> dict[str, SplitPart]:
    """The output splits of a source, by name, empty ones left out; each image is in exactly one.

    Args:
      splits: images per split of the source.
      validation_fraction: the part of `train` to become `validation`, as a decimal in (0, 1).

    Raises:
      UsageError: the fraction is none, there is no train split, or there is a validation split.
    """
    parts = {name: SplitPart(name, size) for name, size in splits.items()}
    if validation_fraction is not None:
        fraction = parse_fraction(validation_fraction)
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
    """The positions of each shard of a split, (start, stop), in order and without gaps.

    At most 128 MB each; where that gives more than 10,000 shards, at most 1 GB. At least 8 where there are images
    enough.

    Args:
      images: how many the split has.
      bytes_per_image: size of a stored record.
    """
    size = images * bytes_per_image
    needed = -(-size // min(_LARGEST_SHARD_BYTES, max(SHARD_BYTES, -(-size // _MOST_SHARDS))))
    count = max(1, needed, min(_LEAST_SHARDS, images // _LEAST_IMAGES))
    return [(i * images // count, (i + 1) * images // count) for i in range(count)]
