"""A dataset's images for training loops, in any framework. Imports no Keras, TensorFlow, Beam or Tink."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lpe.pipeline.dataset.reader import OpenShard
from lpe.train.loading.examples import MEMORY_BYTES, Examples
from lpe.train.loading.files import BatchTransform, ShardFiles, check_lengths
from lpe.train.loading.selection import Selection
from lpe.train.versions import open_version


class Shards:
    """The images of a split, as whole batches.

    Args:
      path: a dataset's version, or a home without both plain and encrypted versions: the newest one.
      split: its name.
      batch_size: images in a batch.
      shuffle: whether each epoch has an order of its own.
      seed: of the orders.
      drop_rest: leaves out the images that do not fill a last batch.
      memory_bytes: memory for images.
      open_shard: opens a shard's file; None for files on this machine.
      transform: done to every decoded batch.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        *,
        batch_size: int = 128,
        shuffle: bool = False,
        seed: int = 0,
        drop_rest: bool = False,
        memory_bytes: int = MEMORY_BYTES,
        open_shard: OpenShard | None = None,
        transform: BatchTransform | None = None,
    ) -> None:
        files = ShardFiles(open_version(path), open_shard, transform)
        check_lengths(files, split)
        self._examples = Examples(
            files,
            (split,),
            Selection(files.dataset.splits[split].shard_lengths),
            batch_size,
            seed=seed if shuffle else None,
            drop_rest=drop_rest,
            memory_bytes=memory_bytes,
        )
        self._epoch = 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        """The batches of an epoch; each call goes on to the next epoch."""
        epoch, self._epoch = self._epoch, self._epoch + 1
        for number in range(self._examples.steps):
            yield self._examples.batch(epoch, number)
