"""The file of a shard as it is written, and the checks that it holds what it must."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

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
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._examples = self._bytes = self._crc = 0
        self._sha256 = hashlib.sha256()

    def write(self, runs: Sequence[np.ndarray]) -> None:
        """Appends framed records, as `records.encoded_runs` gives them."""
        for rows in runs:
            data = rows.reshape(-1)
            self._file.write(data.data)
            self._sha256.update(data.data)
            self._crc = tfrecord.extend_crc32c(self._crc, data)
            self._bytes += len(data)
            self._examples += len(rows)

    def info(self, name: str) -> ShardInfo:
        """What is recorded of the file, under this name."""
        return ShardInfo(name, self._examples, self._bytes, f"{self._crc:08x}", self._sha256.hexdigest())


def check_records(
    path: str, runs: Sequence[np.ndarray], format: RecordFormat, restore: BatchFunction, plain: ImageBatch
) -> None:
    """Raises DataError unless the records of a batch give the plain images that it was made of.

    Args:
      path: their file, for messages.
      runs: the records, as they are written.
      format: theirs.
      restore: makes plain images of what is decoded.
      plain: the batch that must come out.
    """
    encoded = io.BytesIO(b"".join(rows.data for rows in runs))
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
