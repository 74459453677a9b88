"""Any examples of a split, by their positions in it."""

from __future__ import annotations

import concurrent.futures
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np

from lpe.train.loading.files import ShardFiles, check_lengths
from lpe.train.loading.opened import OpenedShard, open_examples

Batch = tuple[np.ndarray, np.ndarray, list[str] | None]
"""Images uint8 [N, H, W, C], labels int64 [N], and ids where they were asked for."""

_Opening = concurrent.futures.Future[OpenedShard]


class SplitReader:
    """The examples of a split.

    A shard is opened, and compared with what was recorded of it, when it is first needed. Raw images are then read
    where they lie on disk, from pages that the system caches and processes share; those of other formats are decoded
    into memory, a shard at a time. Threads may share a reader; it can be pickled, and used after a fork. The dataset
    must not change while it is used.

    Args:
      files: the dataset's.
      split: its name.
      memory_bytes: memory for decoded shards; those that were used longest ago make room.

    Raises:
      DataError: no such split, or a shard that is missing or cannot hold its images.
    """

    def __init__(self, files: ShardFiles, split: str, memory_bytes: int) -> None:
        check_lengths(files, split)
        self.files = files
        self.split = split
        self._memory_bytes = memory_bytes
        self._starts = np.cumsum([0, *files.dataset.splits[split].shard_lengths])
        self._process = _Process(len(self._starts) - 1, None)

    def __len__(self) -> int:
        """The number of examples."""
        return int(self._starts[-1])

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what belongs to this process."""
        return {name: value for name, value in self.__dict__.items() if name != "_process"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._process = _Process(len(self._starts) - 1, None)

    def take(self, positions: np.ndarray, *, ids: bool = False) -> Batch:
        """Some examples, in the order asked for, as copies that the caller may change.

        Args:
          positions: int64 [N], of 0..len - 1.
          ids: whether their ids are wanted.

        Raises:
          DataError: a shard is missing or damaged, by name.
        """
        shards = np.searchsorted(self._starts, positions, "right") - 1
        found = np.unique(shards).tolist()
        if len(found) == 1:
            shard, rows = self._shard(found[0]), positions - self._starts[found[0]]
            return shard.images(rows), shard.labels(rows), shard.ids(rows) if ids else None
        images = np.empty((len(positions), *self.files.image_shape), np.uint8)
        labels = np.empty(len(positions), np.int64)
        texts = [""] * len(positions)
        for number in found:
            (at,) = np.nonzero(shards == number)
            shard, rows = self._shard(number), positions[at] - self._starts[number]
            images[at], labels[at] = shard.images(rows), shard.labels(rows)
            if ids:
                for place, text in zip(at.tolist(), shard.ids(rows), strict=True):
                    texts[place] = text
        return images, labels, texts if ids else None

    def read_ahead(self, shards: Iterable[int]) -> None:
        """Has shards opened that are needed soon, by a thread of this object's own."""
        process = self._here()
        for number in shards:
            opening = self._opening(process, number)
            if opening.done() and opening.exception() is None:
                opening.result().read_ahead()

    def _shard(self, number: int) -> OpenedShard:
        process = self._here()
        opened = self._opening(process, number).result()
        if opened.memory_bytes:
            process.make_room(self._memory_bytes, number)
        return opened

    def _opening(self, process: _Process, number: int) -> _Opening:
        with process.lock:
            opening = process.shards.get(number)
            if opening is None or (opening.done() and opening.exception() is not None):
                opening = process.thread.submit(self._open, process, number)
                process.shards[number] = opening
            process.shards.move_to_end(number)
            return opening

    def _open(self, process: _Process, number: int) -> OpenedShard:
        opened = open_examples(self.files, self.split, number, checked=bool(process.checked[number]))
        process.checked[number] = 1
        return opened

    def _here(self) -> _Process:
        if self._process.id != os.getpid():
            self._process = _Process(len(self._starts) - 1, self._process)
        return self._process


class _Process:
    """What a reader has in one process: its thread and its shards.

    Args:
      shards: how many the split has.
      parent: that of the process that this one was forked from; what it had opened stays open.
    """

    def __init__(self, shards: int, parent: _Process | None) -> None:
        self.id = os.getpid()
        self.lock = threading.Lock()  # of `shards`
        self.thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lpe-shards")
        self.shards: OrderedDict[int, _Opening] = OrderedDict()
        # Forked processes share it, so that of the workers of each epoch only the first compare a shard's checksum.
        self.checked = parent.checked if parent is not None else mmap.mmap(-1, max(1, shards))
        if parent is not None:
            for number, opening in parent.shards.items():
                if opening.done() and opening.exception() is None:
                    self.shards[number] = opening

    def make_room(self, most: int, needed: int) -> None:
        """Forgets the decoded shards that were used longest ago, but for one, until the others have `most` bytes."""
        with self.lock:
            sizes = {
                number: opening.result().memory_bytes
                for number, opening in self.shards.items()
                if opening.done() and opening.exception() is None
            }
            excess = sum(sizes.values()) - most
            for number, size in sizes.items():
                if excess > 0 and size and number != needed:
                    del self.shards[number]
                    excess -= size
