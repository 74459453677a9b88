"""A dataset's images for training loops in any framework. Imports no Keras, TensorFlow, Beam or Tink."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.reader import OpenShard
from lpe.train.loading import states
from lpe.train.loading.examples import MEMORY_BYTES, Examples
from lpe.train.loading.files import BatchTransform, ShardFiles
from lpe.train.loading.order import Part
from lpe.train.loading.random_access import Batch, SplitReader
from lpe.train.loading.selection import Selection
from lpe.train.versions import open_version
from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape


class Shards:
    """The images of a split: its batches, an epoch after the other, and any of its examples by number.

        shards = lpe.data.Shards("data/enc/photos", batch_size=128, shuffle=True)
        for images, labels in shards:       # uint8 [128, H, W, C] and int64 [128], yours to change
            ...

    Each loop over it is the next epoch, in an order of its own that follows from `seed` and the epoch's number alone:
    the split's shards are shuffled, and the images within windows of them. Every shard is compared with the checksum
    that was recorded of it before an image of it is given. `len(shards)` and `shards[i]` are of the split's examples
    as they lie on disk, however they are shuffled or shared; `shards.steps` is the number of batches in a loop.

    It can be pickled, and used in a process that was forked. The dataset must not change while it is used.

    Args:
      path: a dataset's version, or a home without both plain and encrypted versions: the newest one.
      split: its name.
      batch_size: images in a batch; the last one of an epoch may have fewer.
      shuffle: whether epochs have orders of their own; otherwise they have the one on disk.
      seed: of the orders.
      ids: whether batches and examples end with ids: (images, labels, ids), a list of str.
      drop_rest: leaves out the images that do not fill a last batch, other ones each epoch.
      memory_bytes: memory of the images that are shuffled together: the whole split if it fits in, or windows of a
        quarter. Images that are stored encoded are decoded into it; raw ones take none.
      open_shard: opens a shard's file; None for files as they lie on this machine.
      transform: done to every decoded batch; None for nothing.

    Attributes:
      dataset: the version.
      split: as given.
      batch_size: as given.

    Raises:
      DataError: there is no such dataset or split, its images are sealed, on another machine or of several shapes, or
        a shard is missing.
      UsageError: the home holds plain and encrypted versions, or an argument is out of range.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        *,
        batch_size: int = 128,
        shuffle: bool = False,
        seed: int = 0,
        ids: bool = False,
        drop_rest: bool = False,
        memory_bytes: int = MEMORY_BYTES,
        open_shard: OpenShard | None = None,
        transform: BatchTransform | None = None,
    ) -> None:
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
            if operator.index(value) < least:
                raise UsageError(f"Shards: {name} is {value}; it must be at least {least}")
        files = ShardFiles(open_version(path), open_shard, transform)
        self.dataset: Dataset = files.dataset
        self.split = split
        self.batch_size = int(batch_size)
        self._reader = SplitReader(files, split, memory_bytes)
        self._seed = int(seed) if shuffle else None
        self._ids = ids
        self._drop_rest = drop_rest
        self._memory_bytes = memory_bytes
        self._take_part(Part(even=drop_rest))

    def _take_part(self, part: Part) -> None:
        self._part = part
        self._examples = Examples(
            (self._reader,),
            Selection(self.dataset.splits[self.split].shard_lengths),
            self.batch_size,
            seed=self._seed,
            drop_rest=self._drop_rest,
            part=part,
            memory_bytes=self._memory_bytes,
        )
        self._next = self._reached = states.Place(0, 0)

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C) of every image."""
        return self._reader.files.image_shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; label i is called class_names[i]."""
        return self.dataset.class_names

    @property
    def steps(self) -> int:
        """The number of batches in an epoch of this part."""
        return self._examples.steps

    # ---------------------------------------------------------------- in order

    def shard(self, rank: int, world: int) -> Shards:
        """The part of one of several processes that train together; those of all ranks are the split, without doubles.

        Each takes neighbouring shards of the epoch's order, and the processes at their border share one, so that the
        parts differ by an image at most however many shards there are. With `drop_rest` all are equal, and have
        equally many batches; without it, `steps` may differ by one.

        Args:
          rank: the number of this process, 0..world - 1.
          world: how many there are.

        Raises:
          UsageError: there is no such rank.
        """
        if not 0 <= operator.index(rank) < operator.index(world):
            raise UsageError(f"Shards: rank {rank} of {world}; ranks are 0..world - 1")
        part = copy.copy(self)
        part._take_part(Part(int(rank), int(world), self._drop_rest))
        return part

    def set_epoch(self, epoch: int) -> None:
        """Makes the next loop the epoch of this number, from 0: from its start, unless it goes on in that epoch."""
        if epoch != self._next.epoch:
            self._next = self._reached = states.Place(operator.index(epoch), 0)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The batches of the next epoch, or the rest of the one that `load_state_dict` named.

        Yields:
          Images uint8 [B, H, W, C] and labels int64 [B], and with `ids` a list of str.
        """
        return self.batches()

    def batches(self, worker: int = 0, workers: int = 1) -> Iterator[tuple[Any, ...]]:
        """The batches of `iter` that one of several workers takes: every `workers`-th.

        Taken in turn from all workers, they are those of `iter` in the same order.

        Args:
          worker: its number, 0..workers - 1.
          workers: how many there are.
        """
        place = self._next
        if place.workers > 1 and (place.worker, place.workers) != (worker, workers):
            raise UsageError(
                f"this state is of worker {place.worker} of {place.workers}, this is {worker} of {workers}; use as many "
                "workers as then"
            )
        self._next = states.Place(place.epoch + 1, 0)
        self._reached = place
        first = place.batch if place.workers > 1 else place.batch + worker
        return self._batches(place.epoch, range(first, self.steps, workers), worker, workers)

    def _batches(self, epoch: int, numbers: range, worker: int, workers: int) -> Iterator[tuple[Any, ...]]:
        for number in numbers:
            batch = self._examples.batch_and_ids(epoch, number, ids=self._ids)
            self._reached = states.Place(epoch, number + workers, worker, workers)
            yield self._given(batch)

    # ---------------------------------------------------------------- by number

    def __len__(self) -> int:
        """The number of the split's examples."""
        return len(self._reader)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """An example of the split by its position on disk: image uint8 [H, W, C], label int, and with `ids` its id.

        Raises:
          IndexError: there is none.
          DataError: its shard is missing or damaged.
        """
        images, labels, *ids = self.take([operator.index(index)])
        return (images[0], int(labels[0]), *(texts[0] for texts in ids))

    def take(self, indices: Sequence[int] | np.ndarray) -> tuple[Any, ...]:
        """Examples of the split by their positions on disk, as one batch such as `iter` yields.

        Args:
          indices: of -len..len - 1, in any order.

        Raises:
          IndexError: there is none of such a position.
          DataError: a shard is missing or damaged.
        """
        positions = np.asarray(indices, np.int64)
        count = len(self)
        outside = (positions < -count) | (positions >= count)
        if outside.any():
            raise IndexError(f"index {positions[outside][0]} is out of range for {count} examples")
        return self._given(
            self._reader.take(np.where(positions < 0, positions + count, positions), ids=self._ids)
        )

    def _given(self, batch: Batch) -> tuple[Any, ...]:
        images, labels, ids = batch
        return (images, labels, ids) if self._ids else (images, labels)

    # ---------------------------------------------------------------- state

    def state_dict(self, *, epoch: int | None = None, batch: int | None = None) -> dict[str, Any]:
        """Where the latest loop has got to, a few numbers that JSON can hold; see `load_state_dict`.

        Args:
          epoch: for whom counts batches elsewhere: the epoch; None for that of the latest loop.
          batch: with it, how many batches of the epoch were taken.
        """
        place = self._reached
        if epoch is not None or batch is not None:
            place = states.Place(place.epoch if epoch is None else epoch, batch or 0)
        if place.workers == 1 and place.batch >= self.steps > 0:  # one worker does not know of the others
            place = states.Place(place.epoch + 1, 0)
        return states.to_dict(place, self._identity())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Makes the next loop go on where another had got to when `state_dict` was called.

        Raises:
          UsageError: the state is of another dataset, of other arguments or another part, or is no state.
        """
        self._next = self._reached = states.from_dict(state, self._identity())

    def _identity(self) -> dict[str, Any]:
        """What the order of the batches follows from."""
        return {
            "dataset": f"{self.dataset.name} {self.dataset.version}",
            "digest": states.digest(self.dataset, self.split),
            "split": self.split,
            "seed": self._seed,
            "batch_size": self.batch_size,
            "drop_rest": self._drop_rest,
            "window_bytes": self._examples.window_bytes if self._seed is not None else None,
            "rank": self._part.rank,
            "world": self._part.world,
        }
