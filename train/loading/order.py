"""The order in which an epoch takes a split's examples: by windows of shards, and shuffled within each."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.train.loading.selection import Selection


@dataclasses.dataclass(frozen=True)
class Piece:
    """Neighbours among the selected examples of a shard.

    Attributes:
      shard: its number.
      start: the first one.
      stop: the one after the last.
    """

    shard: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Part:
    """The share of each epoch's examples that one of several processes takes.

    Attributes:
      rank: its number, 0..world - 1.
      world: how many processes there are.
      even: all take equally many, and what cannot be shared is left out; otherwise some take one more.
    """

    rank: int = 0
    world: int = 1
    even: bool = False

    def span(self, total: int) -> tuple[int, int]:
        """From which to which of `total` examples, in the epoch's order of shards."""
        if self.even:
            share = total // self.world
            return self.rank * share, (self.rank + 1) * share
        return self.rank * total // self.world, (self.rank + 1) * total // self.world


def pieces(counts: np.ndarray, order: np.ndarray, part: Part) -> list[Piece]:
    """What a part takes of each shard: whole shards but for the first and last.

    Args:
      counts: selected examples of each shard, int64 [shards].
      order: the epoch's order of shards, int64 [shards].
      part: which share.
    """
    first, last = part.span(int(counts.sum()))
    found = []
    seen = 0
    for shard, count in zip(order.tolist(), counts[order].tolist(), strict=True):
        start, stop = max(0, first - seen), min(count, last - seen)
        if start < stop:
            found.append(Piece(shard, start, stop))
        seen += count
    return found


def windows(sizes: list[int], limit: int) -> list[list[int]]:
    """Neighbours grouped so that no group of several is too large, as lists of their numbers.

    Args:
      sizes: bytes of each.
      limit: bytes that a group may have; what is larger is a group of its own.
    """
    groups: list[list[int]] = []
    room = 0
    for number, size in enumerate(sizes):
        if groups and size <= room:
            groups[-1].append(number)
            room -= size
        else:
            groups.append([number])
            room = limit - size
    return groups


class EpochOrder:
    """The order of the examples in an epoch.

    Args:
      selection: which of the split's examples.
      sizes: bytes of each shard's images, int64 [shards].
      part: which share of the epoch.
      window_bytes: memory of the images that are shuffled together.
      seed: what it follows from; None for the order on disk.
    """

    def __init__(
        self,
        selection: Selection,
        sizes: np.ndarray,
        part: Part,
        window_bytes: int,
        seed: tuple[int, int] | None,
    ) -> None:
        shards = np.arange(len(sizes))
        if seed is not None:
            shards = np.random.default_rng(seed).permutation(shards)
        taken = pieces(selection.counts(), shards, part)
        groups = windows([int(sizes[piece.shard]) for piece in taken], window_bytes)
        self._windows = [sorted((taken[i] for i in group), key=lambda piece: piece.shard) for group in groups]
        lengths = [sum(piece.stop - piece.start for piece in window) for window in self._windows]
        self._starts = np.cumsum([0, *lengths])
        self._selection = selection
        self._seed = seed
        self._latest: dict[int, np.ndarray] = {}

    def positions(self, start: int, stop: int) -> np.ndarray:
        """The positions in the split of the examples from `start` to `stop` of this part's epoch, int64."""
        found = []
        for window in range(*self.span(start, stop)):
            first = int(self._starts[window])
            found.append(self._window(window)[max(0, start - first) : max(0, stop - first)])
        return np.concatenate([*found, np.empty(0, np.int64)]) if len(found) != 1 else found[0]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The windows, from and to, that hold the examples from `start` to `stop`."""
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        return first, int(np.searchsorted(self._starts, stop, "left"))

    def shards(self, first: int, last: int) -> list[int]:
        """The shards of some windows, from and to; there may be fewer windows."""
        return [piece.shard for window in self._windows[first:last] for piece in window]

    def _window(self, window: int) -> np.ndarray:
        """The positions of a window's examples; only the latest few are kept, since there may be many."""
        places = self._latest.get(window)
        if places is None:
            for old in [w for w in list(self._latest) if w < window - 1]:
                self._latest.pop(old, None)
            places = np.concatenate(
                [
                    self._selection.positions(piece.shard)[piece.start : piece.stop]
                    for piece in self._windows[window]
                ]
            )
            if self._seed is not None:
                places = places[np.random.default_rng((*self._seed, window)).permutation(len(places))]
            self._latest[window] = places
        return places
