"""The file of a shard as it is written, and the checks that it holds what it must."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from lpe.pipeline import records, storage
from lpe.pipeline.dataset import ShardInfo
from lpe.pipeline.encryption.batch_transforms import BatchFunction
from lpe.pipeline.engine.equality import equal_examples
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import fail
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

_PIECE = 1 << 22
_REMEDY = "nothing was published: check the machine's memory and disk, and run the same command again"


class ShardFile:
    """A shard's file, and what is recorded of it.

    Args:
      file: where records are appended.
      format: of the records.
    """

    def __init__(self, file: BinaryIO, format: RecordFormat) -> None:
        self._file = file
        self._format = format
        self._examples = self._bytes = self._crc = 0
        self._sha256 = hashlib.sha256()

    def write(self, batch: ImageBatch) -> None:
        """Appends a batch."""
        for rows in records.encoded_runs(batch, self._format):
            data = rows.reshape(-1)
            self._file.write(data.data)
            self._sha256.update(data.data)
            self._crc = tfrecord.extend_crc32c(self._crc, data)
            self._bytes += len(data)
        self._examples += len(batch)

    def info(self, name: str) -> ShardInfo:
        """What is recorded of the file, under this name."""
        return ShardInfo(name, self._examples, self._bytes, f"{self._crc:08x}", self._sha256.hexdigest())


def check_records(
    path: str, written: ImageBatch, format: RecordFormat, restore: BatchFunction, plain: ImageBatch
) -> None:
    """Raises DataError unless the records of a batch give the plain images that it was made of.

    Args:
      path: their file, for messages.
      written: what is encoded.
      restore: makes plain images of what is decoded.
      plain: the batch that must come out.
    """
    encoded = io.BytesIO(records.encode(written, format))
    position = 0
    for batch in records.decode(encoded, format, where=path, on_bad_record=fail(_REMEDY)):
        expected = plain[position : position + len(batch)]
        equal = equal_examples(restore(batch), expected)
        if not equal.all():
            wrong = expected.ids[int(equal.argmin())]
            raise DataError(f"{path}: image {wrong} does not decrypt to what was encrypted; {_REMEDY}")
        position += len(batch)
    if position != len(plain):
        raise DataError(f"{path}: {position} of {len(plain)} images come out of their records; {_REMEDY}")


def check_file(path: str, shard: ShardInfo) -> None:
    """Reads a file again. Raises DataError unless it holds what was written."""
    sha256 = hashlib.sha256()
    with storage.open_read(path) as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
    if sha256.hexdigest() != shard.sha256:
        raise DataError(f"{path}: does not hold what was written to it; {_REMEDY}")
