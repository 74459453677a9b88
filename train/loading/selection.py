"""Selections of a split's examples by their positions alone: what is held out, and how many."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np


def is_held_out(position: np.ndarray, fraction: float) -> np.ndarray:
    """Whether examples belong to the part of a split that is held out.

    Multiples of the golden ratio modulo 1 (Knuth, The Art of Computer Programming 3, section 6.4): spread as evenly as
    every k-th, but in step with no period of the data, so that labels that come in turn (0, 1, 2, …) do not all fall on
    one side.

    Args:
      position: their positions in the split, int64 [N].
      fraction: how much is held out, 0..1.

    Returns:
      bool [N].
    """
    mask = 0xFFFFFFFF
    held_out: np.ndarray = ((position & mask) * 2654435769) & mask < int(fraction * 2**32)
    return held_out


@dataclasses.dataclass(frozen=True)
class Selection:
    """A selection of a split's examples, by their positions alone.

    Attributes:
      shard_lengths: examples of each shard.
      fraction: of the examples that `is_held_out`, 0..1.
      held_out: whether those are selected, or the others.
      limit: at most so many of them, evenly spread; None for all.
    """

    shard_lengths: tuple[int, ...]
    fraction: float = 0.0
    held_out: bool = False
    limit: int | None = None

    def counts(self) -> np.ndarray:
        """How many examples of each shard, int64 [shards]."""
        lengths = self._eligible
        ends = self._kept(np.cumsum(lengths), int(lengths.sum()))
        return np.diff(ends, prepend=0)

    def mask(self, shard: int) -> np.ndarray:
        """Which examples of a shard, bool [length]."""
        chosen = self._mask(shard)
        if self.limit is not None:
            lengths = self._eligible
            ranks = int(lengths[:shard].sum()) + np.cumsum(chosen)
            total = int(lengths.sum())
            chosen &= self._kept(ranks, total) > self._kept(ranks - 1, total)
        return chosen

    def positions(self, shard: int) -> np.ndarray:
        """The positions in the split of a shard's selected examples, int64."""
        return sum(self.shard_lengths[:shard]) + np.flatnonzero(self.mask(shard))

    def _mask(self, shard: int) -> np.ndarray:
        """`mask`, the limit not counted."""
        first = sum(self.shard_lengths[:shard])
        positions = np.arange(first, first + self.shard_lengths[shard])
        held_out = is_held_out(positions, self.fraction)
        return held_out if self.held_out else ~held_out

    @functools.cached_property
    def _eligible(self) -> np.ndarray:
        """Examples of each shard, the limit not counted."""
        return np.array([int(self._mask(shard).sum()) for shard in range(len(self.shard_lengths))])

    def _kept(self, ranks: np.ndarray, total: int) -> np.ndarray:
        """How many of the first `ranks` are within the limit, which is spread evenly over `total`."""
        if self.limit is None or self.limit >= total:
            return ranks
        return ranks * self.limit // total
