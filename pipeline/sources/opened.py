"""Readers of sealed shards that open the seal in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.seal.opening import SealOpener
from lpe.transforms.batch import ImageBatch


@dataclasses.dataclass(frozen=True)
class OpenedReader:
    """The reader of the images within another one's seal.

    Attributes:
      reader: reads sealed images.
      opener: opens them.
    """

    reader: Reader
    opener: SealOpener

    def expected(self) -> int:
        """See `Reader`."""
        return self.reader.expected()

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`. An image that does not open raises DataError, a key that cannot be had KeyStoreError."""
        return map(self.opener, self.reader.batches(on_bad_record))
