"""Shards that a version takes over from the one before as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lpe.pipeline.dataset import ShardInfo
from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.transforms.batch import ImageBatch


@dataclasses.dataclass(frozen=True)
class CarriedShard:
    """A finished shard, which is linked or copied and not read.

    Attributes:
      path: its file.
      shard: what was recorded of it.
      reader: reads it, for whoever wants its images.
    """

    path: str
    shard: ShardInfo
    reader: Reader

    def expected(self) -> int:
        """See `Reader`."""
        return self.shard.examples

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`."""
        return self.reader.batches(on_bad_record)
