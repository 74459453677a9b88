"""What is done with one shard, wherever it is done; knows nothing of Beam."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from typing import NoReturn

import pyarrow as pa

from lpe.pipeline import records, storage
from lpe.pipeline.dataset import ShardInfo, layout
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.dataset.writer import Output, ShardReceipt, write_ids
from lpe.pipeline.encryption.batch_transforms import BatchFunction, BatchTransform
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records import tfrecord
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

_LOG = logging.getLogger("lpe")


@dataclasses.dataclass
class WriteShard:
    """Reads a shard, applies the stages to every batch, writes the result and its receipt.

    Attributes:
      restore: makes plain images of what is read.
      conceal: makes what is written of plain images.
      check: makes plain images of what was written: the shard is read back, and every image compared with
        what `restore` gave, before the shard counts as finished. None for no such check.
      output: where the shard goes.
      skip_bad_records: leave unreadable images out, instead of failing.
    """

    restore: BatchTransform
    conceal: BatchTransform
    check: BatchTransform | None
    output: Output
    skip_bad_records: bool

    def setup(self) -> None:
        self._restore: BatchFunction = self.restore.open()
        self._conceal: BatchFunction = self.conceal.open()
        self._check: BatchFunction | None = self.check.open() if self.check is not None else None

    def run(self, task: ShardTask) -> ShardReceipt:
        done = self.output.finished(task.split, task.index)
        if done is not None:
            return done
        bad: list[dict[str, str]] = []

        def on_bad_record(record: BadRecord) -> None:
            if not self.skip_bad_records:
                raise record.error()
            _LOG.warning("skipped %s: %s", record.where, record.reason)
            # A file name can name a patient: beside ciphertext only the shard is told.
            where = f"{task.split} shard {task.index}" if self.output.encrypted else record.where
            bad.append({"where": where, "reason": record.reason})

        watch = Stopwatch()
        shard, ids = self._write(task, on_bad_record, watch)
        if shard.examples + len(bad) != task.reader.expected():
            raise DataError(
                f"{task.split} shard {task.index}: {shard.examples} images written and {len(bad)} left out of "
                f"{task.reader.expected()}; run the same command again"
            )
        if ids is not None:
            write_ids(self.output.ids_path(task.split, task.index), ids)
        receipt = ShardReceipt(
            task.split, task.index, shard, tuple(bad), images=shard.examples, seconds=watch.seconds
        )
        storage.write_atomic(
            self.output.receipt_path(task.split, task.index), json.dumps(receipt.to_json()).encode()
        )
        return receipt

    def _write(
        self, task: ShardTask, on_bad_record: Callable[[BadRecord], None], watch: Stopwatch
    ) -> tuple[ShardInfo, pa.Table | None]:
        output = self.output
        name = layout.shard_name(output.name, task.split, task.index, task.count)
        path = storage.join(output.data, name)
        examples = size = crc = 0
        ids: list[str] = []
        origins: list[str] = []
        digests: list[bytes] = []
        with watch.measuring("write"), storage.open_atomic(path) as file:
            for batch in watch.each("read", task.reader.batches(on_bad_record)):
                with watch.measuring("transform"):
                    plain = self._restore(batch)
                    concealed = self._conceal(plain)
                if self._check is not None:
                    with watch.measuring("check"):
                        digests += _digests(plain)
                data = records.encode(concealed, output.format)
                file.write(data)
                examples += len(batch)
                size += len(data)
                crc = tfrecord.extend_crc32c(crc, data)
                if batch.origins is not None and not output.encrypted:
                    ids += batch.ids
                    origins += batch.origins
        shard = ShardInfo(name, examples, size, f"{crc:08x}")
        if self._check is not None:
            reader = ShardReader(path, output.format, examples, len(output.class_names), shard)
            with watch.measuring("check"):
                self._read_back(reader, digests)
        table = None
        if origins:
            table = pa.table({"id": ids, "split": [task.split] * len(ids), "name": origins})
        return shard, table

    def _read_back(self, reader: ShardReader, expected: list[bytes]) -> None:
        """Raises DataError unless what was written gives the plain images that it was made of."""
        assert self._check is not None
        at = 0
        for batch in reader.batches(_raise):
            for image_id, digest in zip(batch.ids, _digests(self._check(batch)), strict=True):
                if digest != expected[at]:
                    raise DataError(
                        f"{reader.path}: image {image_id} does not decrypt to what was encrypted; nothing was "
                        "published: check the machine's memory and disk, and run the same command again"
                    )
                at += 1


def _digests(batch: ImageBatch) -> list[bytes]:
    """SHA-256 of each example: id, label, shape, pixels."""
    shape = str(batch.images.shape[1:])
    return [
        hashlib.sha256(f"{name}|{label}|{shape}|".encode() + image.tobytes()).digest()
        for name, label, image in zip(batch.ids, batch.labels.tolist(), batch.images, strict=True)
    ]


def _raise(record: BadRecord) -> NoReturn:
    raise DataError(f"{record.where}: {record.reason}; check the disk, and run the same command again")
