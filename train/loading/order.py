"""The order in which an epoch takes a split's examples: by windows of shards, and shuffled within each."""

from __future__ import annotations

import dataclasses

import numpy as np


def windows(sizes: np.ndarray, order: np.ndarray, limit: int) -> list[list[int]]:
    """Shards grouped so that no group of several is too large.

    Args:
      sizes: bytes of each shard, int64 [shards].
      order: the order in which shards fill groups, int64 [shards].
      limit: bytes that a group may have; a larger shard is a group of its own.
    """
    groups: list[list[int]] = []
    room = 0
    for shard, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if groups and size <= room:
            groups[-1].append(shard)
            room -= size
        else:
            groups.append([shard])
            room = limit - size
    return groups


@dataclasses.dataclass(frozen=True)
class EpochOrder:
    """The order of the examples in an epoch. For one thread at a time.

    Attributes:
      split: which it takes.
      windows: the shards of each window.
      starts: where each window starts among the epoch's examples, and where the last one ends: int64 [windows + 1].
      seed: what the orders within windows follow from; None for the order on disk.
    """

    split: str
    windows: list[tuple[int, ...]]
    starts: np.ndarray
    seed: tuple[int, int] | None
    _within: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The windows, from and to, that hold the examples from `start` to `stop`."""
        first = int(np.searchsorted(self.starts, start, "right")) - 1
        return first, int(np.searchsorted(self.starts, stop, "left"))

    def within(self, window: int) -> np.ndarray:
        """The order of a window's examples, int64; only the latest few are kept, since there may be many."""
        if window not in self._within:
            count = int(self.starts[window + 1] - self.starts[window])
            for old in [w for w in self._within if w < window - 1]:
                del self._within[old]
            self._within[window] = (
                np.arange(count)
                if self.seed is None
                else np.random.default_rng((*self.seed, window)).permutation(count)
            )
        return self._within[window]
