"""Tasks: shards to be worked on, each with the reader of its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lpe.pipeline.dataset.numbers import neutral_id
from lpe.pipeline.dataset.reader import BATCH_SIZE, Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.base import Slice
from lpe.transforms.batch import ImageBatch


@dataclasses.dataclass(frozen=True)
class SliceReader:
    """The reader of a slice of a source; the id of image i of the split is `SPLIT-NNNNNNN` unless names are kept.

    Attributes:
      images: the slice.
      split: the output split that it goes to.
      first: the number of the slice's first image in that split.
      keep_names: use the original names as ids.
      batch_size: the most images in a batch.
    """

    images: Slice
    split: str
    first: int
    keep_names: bool = False
    batch_size: int = BATCH_SIZE

    def expected(self) -> int:
        """See `Reader`."""
        return len(self.images)

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`; the batches carry the original names as `origins`, and the files' digests."""
        for batch in self.images.batches(self.batch_size, on_bad_record):
            neutral = [neutral_id(self.split, self.first + int(offset)) for offset in batch.offsets]
            ids = batch.names if self.keep_names else neutral
            yield ImageBatch(ids, batch.images, batch.labels, batch.names, batch.digests)


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to be worked on, a small picklable value.

    Attributes:
      split: the output split.
      index: the shard's number in it, 0-based.
      count: how many shards the split has.
      reader: its input.
    """

    split: str
    index: int
    count: int
    reader: Reader
