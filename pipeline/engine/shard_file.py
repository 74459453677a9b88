"""The file of a shard as it is written."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

import numpy as np

from lpe.pipeline.dataset import ShardInfo
from lpe.pipeline.records import tfrecord


class ShardFile:
    """A shard's file, whose bytes are summed as they are written.

    Args:
      file: where they go.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = self._crc = 0
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes | np.ndarray) -> int:
        """Appends bytes."""
        view = data if isinstance(data, bytes) else data.data
        self._file.write(view)
        self._sha256.update(view)
        self._crc = tfrecord.extend_crc32c(self._crc, data)
        self._bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes there are."""
        return self._bytes

    def flush(self) -> None:
        """For Arrow; the file below is flushed when it is closed."""

    def close(self) -> None:
        """For Arrow; the file below stays open."""

    def info(self, name: str, examples: int) -> ShardInfo:
        """What is recorded of the file, under this name."""
        return ShardInfo(name, examples, self._bytes, f"{self._crc:08x}", self._sha256.hexdigest())
