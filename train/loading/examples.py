"""The images that training takes from a dataset, in which order, a batch at a time. Imports no Keras."""

from __future__ import annotations

import concurrent.futures
import threading
from collections import OrderedDict

import numpy as np

from lpe.train.loading.files import ShardFiles, read_shards
from lpe.train.loading.order import EpochOrder, windows
from lpe.train.loading.selection import Selection

MEMORY_BYTES = 1 << 30
"""Memory for decoded images: a split that fits in is held, and shuffled as a whole."""
_WINDOWS = 4
"""Windows that share the memory where a split does not fit in."""

_Arrays = tuple[np.ndarray, np.ndarray]
"""Images uint8 [N, H, W, C] and labels int64 [N]."""


class Examples:
    """Batches of images uint8 [B, H, W, C] and labels int64 [B], by epoch and number.

    A large split is read in windows of some shards: shuffled by shards, and within each window. While one window is
    used, the next is read, by a thread of this object's own.

    Which examples a batch has depends on the arguments here, the epoch and the number alone, not on earlier calls.
    Threads may share an object. The dataset must not change while it is used.

    Args:
      files: the dataset's.
      splits: epoch e takes the split e modulo their number; all have shards of the same lengths.
      selection: which examples of each.
      batch_size: examples in a batch; the last one of an epoch may have fewer.
      seed: of the orders; None for the order on disk.
      drop_rest: leaves out the examples that do not fill a last batch: other ones each epoch.
      memory_bytes: memory for images. A split that fits in is one window, and stays there.

    Attributes:
      batch_size: as given.
      count: examples that are selected.
      steps: batches in an epoch.
    """

    def __init__(
        self,
        files: ShardFiles,
        splits: tuple[str, ...],
        selection: Selection,
        batch_size: int,
        *,
        seed: int | None = None,
        drop_rest: bool = False,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._files = files
        self._splits = splits
        self._selection = selection
        self._counts = selection.counts()
        self._sizes = files.image_bytes(splits[0])
        whole = int(self._sizes.sum())
        fits = whole <= memory_bytes
        self._window_bytes = whole if fits else memory_bytes // _WINDOWS
        # Of whole splits as many as fit; of windows the two that a batch can touch, and the one to come.
        self._room = memory_bytes // max(1, whole) if fits else _WINDOWS - 1
        self._windows: OrderedDict[tuple[str, tuple[int, ...]], concurrent.futures.Future[_Arrays]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()  # of the windows and the order
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lpe-shards")
        self._latest: tuple[int, EpochOrder] | None = None
        self._seed = seed
        self.batch_size = batch_size
        self.count = int(self._counts.sum())
        self.steps = self.count // batch_size if drop_rest else -(-self.count // batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch of an epoch: images uint8 [B, H, W, C] and labels int64 [B], copies that the caller may change.

        Args:
          epoch: from 0.
          number: 0..steps - 1.

        Raises:
          DataError: a shard is missing or damaged, by name.
        """
        order = self._order(epoch)
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.count)
        parts = []
        for window in range(*order.span(start, stop)):
            images, labels = self._read(order, window)
            first = order.starts[window]
            with self._lock:
                rows = order.within(window)[max(0, start - first) : stop - first]
            parts.append((images[rows], labels[rows]))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([images for images, _ in parts]), np.concatenate(
            [labels for _, labels in parts]
        )

    def _order(self, epoch: int) -> EpochOrder:
        with self._lock:
            if self._latest is None or self._latest[0] != epoch:
                self._latest = (epoch, self._new_order(epoch))
            return self._latest[1]

    def _new_order(self, epoch: int) -> EpochOrder:
        split = self._splits[epoch % len(self._splits)]
        order = np.arange(len(self._sizes))
        seed = None if self._seed is None else (self._seed, epoch)
        if seed is not None:
            order = np.random.default_rng(seed).permutation(order)
        groups = [tuple(sorted(w)) for w in windows(self._sizes, order, self._window_bytes)]
        counts = [int(self._counts[list(window)].sum()) for window in groups]
        return EpochOrder(split, groups, np.cumsum([0, *counts]), seed)

    def _read(self, order: EpochOrder, window: int) -> _Arrays:
        """The examples of a window, as on disk; the next one is read meanwhile."""
        with self._lock:
            wanted = self._start_reading(order, window)
            if window + 1 < len(order.windows):
                self._start_reading(order, window + 1)
            while len(self._windows) > self._room:
                self._windows.popitem(last=False)
        return wanted.result()

    def _start_reading(self, order: EpochOrder, window: int) -> concurrent.futures.Future[_Arrays]:
        key = (order.split, order.windows[window])
        if key not in self._windows:
            if window == 0:
                self._files.expect(
                    order.split, [i for part in order.windows for i in part if self._counts[i]]
                )
            self._windows[key] = self._reader.submit(read_shards, self._files, *key, self._selection)
        self._windows.move_to_end(key)
        return self._windows[key]
