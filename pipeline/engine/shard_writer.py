"""Writers of a shard's examples, one a kind of file, and their checks that the file holds what it must."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lpe.pipeline import records
from lpe.pipeline.dataset import ShardInfo
from lpe.pipeline.dataset.metadata import file_sha256
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.dataset.writer import VersionIdentity
from lpe.pipeline.encryption.batch_transforms import BatchFunction
from lpe.pipeline.engine.equality import DIGEST_BYTES, equal_examples, example_digests
from lpe.pipeline.engine.shard_file import ShardFile
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.records.bad_records import fail
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

_REMEDY = "nothing was published: check the machine's memory and disk, and run the same command again"


class ShardWriter(Protocol):
    """Writes a shard batch by batch."""

    def write(self, batch: ImageBatch, plain: ImageBatch) -> None:
        """Appends a batch.

        Args:
          batch: what is written.
          plain: what it was made of, for a check.

        Raises:
          DataError: the check found that something else was written.
        """

    def finish(self) -> None:
        """Writes what is left."""

    def check_file(self, shard: ShardInfo) -> None:
        """Reads the finished file again. Raises DataError unless it holds what was written."""


def shard_writer(
    file: ShardFile, path: str, identity: VersionIdentity, check: BatchFunction | None, watch: Stopwatch
) -> ShardWriter:
    """The writer for a version's kind of files.

    Args:
      file: where the shard goes.
      path: its path.
      identity: of the version.
      check: makes plain images of what is written, to be compared with what it was made of; None for no check.
      watch: measures the check.
    """
    if identity.format.file_format == "parquet":
        return _ParquetWriter(file, path, identity, check, watch)
    return _TFRecordWriter(file, path, identity.format, check, watch)


class _TFRecordWriter:
    """Checks the very records that are written, batch by batch, and afterwards that the file has their bytes."""

    def __init__(
        self, file: ShardFile, path: str, fmt: RecordFormat, check: BatchFunction | None, watch: Stopwatch
    ) -> None:
        self._file, self._path, self._format, self._check, self._watch = file, path, fmt, check, watch

    def write(self, batch: ImageBatch, plain: ImageBatch) -> None:
        runs = list(records.encoded_runs(batch, self._format))
        for rows in runs:
            self._file.write(rows.reshape(-1))
        if self._check is not None:
            with self._watch.measuring("check"):
                _check_records(self._path, runs, self._format, self._check, plain)

    def finish(self) -> None:
        """Nothing is left."""

    def check_file(self, shard: ShardInfo) -> None:
        if file_sha256(self._path) != shard.sha256:
            raise DataError(f"{self._path}: does not hold what was written to it; {_REMEDY}")


class _ParquetWriter:
    """Keeps a digest of each plain example, and checks the finished file by them."""

    def __init__(
        self,
        file: ShardFile,
        path: str,
        identity: VersionIdentity,
        check: BatchFunction | None,
        watch: Stopwatch,
    ) -> None:
        from lpe.pipeline.records.parquet_shard import Writer  # noqa: PLC0415  (pyarrow is slow to import)

        self._path, self._identity, self._check, self._watch = path, identity, check, watch
        self._writer = Writer(file, identity.format, identity.class_names)
        self._plain = bytearray()

    def write(self, batch: ImageBatch, plain: ImageBatch) -> None:
        self._writer.write(batch)
        if self._check is not None:
            with self._watch.measuring("check"):
                self._plain += example_digests(plain)

    def finish(self) -> None:
        self._writer.close()

    def check_file(self, shard: ShardInfo) -> None:
        assert self._check is not None
        fmt, classes = self._identity.format, len(self._identity.class_names)
        reader = ShardReader(self._path, fmt, shard.examples, classes, shard)
        position = 0
        for batch in reader.batches(fail(_REMEDY)):
            restored = self._check(batch)
            found = example_digests(restored)
            expected = self._plain[position : position + len(found)]
            if found != expected:
                wrong = next(i for i in range(len(found)) if found[i] != expected[i]) // DIGEST_BYTES
                raise DataError(_not_what_was_encrypted(self._path, restored.ids[wrong]))
            position += len(found)


def _not_what_was_encrypted(path: str, image_id: str) -> str:
    return f"{path}: image {image_id} does not decrypt to what was encrypted; {_REMEDY}"


def _check_records(
    path: str, runs: Sequence[np.ndarray], format: RecordFormat, restore: BatchFunction, plain: ImageBatch
) -> None:
    """Raises DataError unless the records of a batch give the plain images that it was made of."""
    encoded = io.BytesIO(b"".join(rows.data for rows in runs))
    position = 0
    for batch in records.decode(encoded, format, where=path, on_bad_record=fail(_REMEDY)):
        expected = plain[position : position + len(batch)]
        equal = equal_examples(restore(batch), expected)
        if not equal.all():
            raise DataError(_not_what_was_encrypted(path, expected.ids[int(equal.argmin())]))
        position += len(batch)
    if position != len(plain):
        raise DataError(f"{path}: {position} of {len(plain)} images come out of their records; {_REMEDY}")
