"""A shard to be worked on: which one, and where its input is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lpe.pipeline.dataset.reader import BATCH_SIZE, Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.base import Slice
from lpe.transforms.batch import ImageBatch


@dataclasses.dataclass(frozen=True)
class SliceReader:
    """A slice of a source; image i of the split is called `SPLIT-NNNNNNN` unless names are kept.

    Attributes:
      source: the images.
      split: the split that they go to.
      first: the number of the slice's first image in that split.
      keep_names: use the original names as ids.
    """

    source: Slice
    split: str
    first: int
    keep_names: bool = False

    def expected(self) -> int:
        return len(self.source)

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        for batch in self.source.batches(BATCH_SIZE, on_bad_record):
            neutral = [f"{self.split}-{self.first + int(offset):07d}" for offset in batch.offsets]
            ids = batch.names if self.keep_names else neutral
            yield ImageBatch(ids, batch.images, batch.labels, origins=batch.names)


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to be worked on: shard `index` of `count` of `split`, and where its input is."""

    split: str
    index: int
    count: int
    reader: Reader
