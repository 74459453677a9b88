"""Batches of training images by epoch and number. Imports no Keras."""

from __future__ import annotations

import numpy as np

from lpe.train.loading.order import EpochOrder, Part
from lpe.train.loading.random_access import Batch, SplitReader
from lpe.train.loading.selection import Selection

MEMORY_BYTES = 1 << 30
"""Memory for images: a split that fits in is shuffled as a whole."""
_WINDOWS = 4
"""Windows that share the memory where a split does not fit in."""


class Examples:
    """Batches of images uint8 [B, H, W, C] and labels int64 [B], by epoch and number.

    A large split is read in windows of some shards: shuffled by shards, and within each window. While one window is
    used, the next is opened, by a thread of its own.

    Which examples a batch has depends on the arguments here, the epoch and the number alone, not on earlier calls.
    Threads may share an object. The dataset must not change while it is used.

    Args:
      readers: epoch e takes the split e modulo their number; all have shards of the same lengths.
      selection: which examples of each.
      batch_size: examples in a batch; the last one of an epoch may have fewer.
      seed: of the orders; None for the order on disk.
      drop_rest: leaves out the examples that do not fill a last batch: other ones each epoch.
      part: which share of each epoch.
      memory_bytes: memory of the images that are shuffled together: a split that fits in, or windows of a quarter.

    Attributes:
      batch_size: as given.
      count: examples of an epoch.
      steps: batches of an epoch.
    """

    def __init__(
        self,
        readers: tuple[SplitReader, ...],
        selection: Selection,
        batch_size: int,
        *,
        seed: int | None = None,
        drop_rest: bool = False,
        part: Part = Part(),  # noqa: B008  (a value)
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._readers = readers
        self._selection = selection
        self._sizes = readers[0].files.image_bytes(readers[0].split)
        self._part = part
        self._seed = seed
        whole = int(self._sizes.sum())
        self.window_bytes = whole if whole <= memory_bytes else memory_bytes // _WINDOWS
        self._latest: tuple[int, EpochOrder] | None = None
        self._ahead: tuple[int, int] | None = None  # epoch and window
        first, last = part.span(int(selection.counts().sum()))
        self.batch_size = batch_size
        self.count = last - first
        self.steps = self.count // batch_size if drop_rest else -(-self.count // batch_size)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A batch of an epoch: images uint8 [B, H, W, C] and labels int64 [B], copies that the caller may change.

        Args:
          epoch: from 0.
          number: 0..steps - 1.

        Raises:
          DataError: a shard is missing or damaged, by name.
        """
        images, labels, _ = self.batch_and_ids(epoch, number, ids=False)
        return images, labels

    def batch_and_ids(self, epoch: int, number: int, *, ids: bool = True) -> Batch:
        """A batch as `batch` has it, and the ids of its examples."""
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.count)
        reader = self._readers[epoch % len(self._readers)]
        # Without a lock: threads that meet here do the same work twice.
        latest = self._latest
        if latest is None or latest[0] != epoch:
            self._latest = latest = (epoch, self._order(epoch))
        order = latest[1]
        first, last = order.span(start, stop)
        if self._ahead != (epoch, last):
            self._ahead = (epoch, last)
            reader.read_ahead(order.shards(first, last + 1))
        return reader.take(order.positions(start, stop), ids=ids)

    def _order(self, epoch: int) -> EpochOrder:
        seed = None if self._seed is None else (self._seed, epoch)
        return EpochOrder(self._selection, self._sizes, self._part, self.window_bytes, seed)
