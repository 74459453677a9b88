"""Readers of a shard's input as image batches, and the one for a shard of a dataset."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from lpe.pipeline import records, storage
from lpe.pipeline.dataset.manifest import ShardInfo
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

BATCH_SIZE = 1024
"""The most images in a batch."""
_PIECE = 1 << 22

OpenShard = Callable[[str, ShardInfo | None], BinaryIO]
"""Opens a shard's file, at its start, by its path and what was recorded of it. Raises DataError."""


def open_shard(path: str, recorded: ShardInfo | None) -> BinaryIO:
    """Opens a shard's file where it lies, whatever was recorded of it; an `OpenShard`."""
    try:
        return storage.open_read(path)
    except FileNotFoundError:
        raise DataError(f"{path}: this shard is missing; restore it or write the dataset again") from None


class Reader(Protocol):
    """A shard's input: a small picklable value that is read on whatever machine works on the shard.

    Readers are immutable. Each call of `batches` opens files of its own and gives the same examples while the input
    stays the same, so that a shard can be tried again, and several threads or processes may read at once. The
    iterator belongs to one thread; the arrays of its batches may be read-only and share memory: copy before changing.
    """

    def expected(self) -> int:
        """Examples that it holds, bad ones included; known without reading."""

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """Reads the examples in order.

        Args:
          on_bad_record: called for each one that cannot be used, on the thread that iterates.

        Raises:
          DataError: the input is not whole.
        """


@dataclasses.dataclass(frozen=True)
class ShardReader:
    """The reader of a dataset's shard; what was recorded of it when it was written is checked.

    Attributes:
      path: the file.
      format: the dataset's record format.
      examples: how many it must hold.
      classes: number of classes; labels must be below it.
      recorded: its size and checksum, where known.
      authenticated: what is recorded is covered by a MAC: no damaged record can be left out.
      open_shard: opens the file.
    """

    path: str
    format: RecordFormat
    examples: int
    classes: int
    recorded: ShardInfo | None = None
    authenticated: bool = False
    open_shard: OpenShard = open_shard

    def expected(self) -> int:
        """See `Reader`."""
        return self.examples

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`; a wrong count, checksum or label raises DataError, by the time the last batch was taken."""
        seen = bad = 0

        def count(record: BadRecord) -> None:
            nonlocal bad
            bad += 1
            on_bad_record(record)

        with self.open_shard(self.path, self.recorded) as file:
            summed = self._summed(file)
            batches = records.decode(
                cast(BinaryIO, summed),
                self.format,
                where=self.path,
                on_bad_record=count,
                batch_size=BATCH_SIZE,
            )
            for batch in batches:
                if batch.labels.size and not 0 <= batch.labels.min() <= batch.labels.max() < self.classes:
                    raise DataError(
                        f"{self.path}: a label outside 0..{self.classes - 1} near record {seen}; the shard does "
                        "not belong to this dataset: restore it or write the dataset again"
                    )
                seen += len(batch)
                if seen + bad > self.examples:
                    raise self._miscounted(f"{seen + bad} or more")
                yield batch
        if seen + bad != self.examples:
            raise self._miscounted(str(seen + bad))
        # A record that was skipped as damaged explains another checksum; nothing else does.
        if not bad or self.authenticated:
            self._compare(summed)

    def check(self) -> None:
        """Compares the file with what was recorded of it, for who does not read all batches. Raises DataError."""
        if self.recorded is not None:
            with self.open_shard(self.path, self.recorded) as file:
                summed = self._summed(file)
                while summed.read(_PIECE):
                    pass
            self._compare(summed)

    def _miscounted(self, found: str) -> DataError:
        return DataError(
            f"{self.path}: {found} records, {self.examples} were written; restore it or write the dataset again"
        )

    def _summed(self, file: BinaryIO) -> _Summed:
        return _Summed(file, sha256=self.recorded is not None and self.recorded.sha256 is not None)

    def _compare(self, summed: _Summed) -> None:
        if self.recorded is not None and summed.checksum != self.recorded.checksum:
            raise DataError(
                f"{self.path}: checksum {summed.checksum}, {self.recorded.checksum} was recorded: another file has "
                "taken its place; restore it or write the dataset again"
            )


def file_crc32c(path: str) -> str:
    """CRC32C (8 hex digits) of a file's bytes. Raises FileNotFoundError."""
    crc = 0
    with storage.open_read(path) as file:
        while piece := file.read(_PIECE):
            crc = tfrecord.extend_crc32c(crc, piece)
    return f"{crc:08x}"


class _Summed:
    """A file whose bytes are summed as they are read: by SHA-256, or else by CRC32C."""

    def __init__(self, file: BinaryIO, *, sha256: bool) -> None:
        self._file = file
        self._sha256 = hashlib.sha256() if sha256 else None
        self._crc = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        if self._sha256 is not None:
            self._sha256.update(piece)
        else:
            self._crc = tfrecord.extend_crc32c(self._crc, piece)
        return piece

    @property
    def checksum(self) -> str:
        return self._sha256.hexdigest() if self._sha256 is not None else f"{self._crc:08x}"
