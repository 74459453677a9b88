"""One shard read, transformed and written, with its receipt; independent of Beam."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset.manifest import Sign
from lpe.pipeline.dataset.numbers import IdNumbers, NumberRange
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import ShardIds
from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.authentication import Signer
from lpe.pipeline.encryption.batch_transforms import BatchFunction, BatchTransform
from lpe.pipeline.encryption.names import NameKeeper
from lpe.pipeline.engine.shard_file import ShardFile
from lpe.pipeline.engine.shard_writer import shard_writer
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records.bad_records import BadRecord, BadRecordsError, OnBadRecord
from lpe.pipeline.sources.carried import CarriedShard
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.errors import DataError

_LOG = logging.getLogger("lpe")
_MOST_BAD = 1000  # a wrong folder or size is not read to its end


@dataclasses.dataclass
class WriteShard:
    """Reads a shard, applies the batch transforms to every batch, writes the result and its receipt.

    Attributes:
      restore: makes plain images of what is read.
      conceal: makes what is written of plain images.
      check: makes plain images of what is written: every record is decoded again and its image compared with what
        `restore` gave, and the file is read again, before the shard counts as finished. None for no such check.
      version: where the shard goes.
      skip_bad_records: leave unreadable images out, instead of failing.
      signer: makes the MACs of an encrypted version's receipts; None for plain data.
      names: hides the original names of an encrypted version's images; None where they are not known or not hidden.
      numbers: of each split, the numbers that the ids of its new images may have; None for any ids.
    """

    restore: BatchTransform
    conceal: BatchTransform
    check: BatchTransform | None
    version: NewVersion
    skip_bad_records: bool
    signer: Signer | None = None
    names: NameKeeper | None = None
    numbers: Mapping[str, NumberRange] | None = None

    def setup(self) -> None:
        """Opens the batch transforms, which fetches their keys."""
        self._restore: BatchFunction = self.restore.open()
        self._conceal: BatchFunction = self.conceal.open()
        self._check: BatchFunction | None = self.check.open() if self.check is not None else None
        self._sign: Sign | None = self.signer.open() if self.signer is not None else None
        self._hide_names = self.names.open() if self.names is not None else None

    def run(self, task: ShardTask) -> ShardReceipt:
        """Writes the shard, unless an earlier run, or the version before, finished it.

        Raises:
          BadRecordsError: images cannot be read, and none may be left out; all of them, or the first thousand.
          DataError: the input is not whole.
        """
        if isinstance(task.reader, CarriedShard):
            carried = task.reader
            return self.version.carry(task.split, task.index, task.count, carried.path, carried.shard)
        finished = self.version.finished(task.split, task.index, task.count, self._sign)
        if finished is not None:
            return finished
        bad: list[BadRecord] = []
        watch = Stopwatch()
        try:
            receipt = self._write(task, bad, watch)
        except DataError as error:
            if self._fails_for(bad):
                raise BadRecordsError(bad) from error
            raise
        if receipt.images + len(bad) != task.reader.expected():
            raise DataError(
                f"{task.split} shard {task.index}: {receipt.images} images written and {len(bad)} left out of "
                f"{task.reader.expected()}; run the same command again"
            )
        path = self.version.receipt_path(task.split, task.index)
        storage.write_atomic(path, receipt.to_bytes(self._sign))
        return receipt

    def _fails_for(self, bad: list[BadRecord]) -> bool:
        return bool(bad) and not self.skip_bad_records

    def _on_bad_record(self, bad: list[BadRecord]) -> OnBadRecord:
        def collect(record: BadRecord) -> None:
            bad.append(record)
            if self.skip_bad_records:
                _LOG.warning("skipped %s: %s", record.where, record.reason)
            elif len(bad) == _MOST_BAD:
                raise BadRecordsError(bad)

        return collect

    def _listed(self, record: BadRecord, task: ShardTask) -> dict[str, str]:
        """A record that was left out. A file name can name a patient: beside ciphertext only the shard is named."""
        encrypted = self.version.identity.encrypted
        where = f"{task.split} shard {task.index}" if encrypted else record.where
        return {"where": where, "reason": record.reason}

    def _write(self, task: ShardTask, bad: list[BadRecord], watch: Stopwatch) -> ShardReceipt:
        """Writes the shard, for plain data the map to original names too; its receipt."""
        identity = self.version.identity
        file_name = self.version.shard_name(task.split, task.index, task.count)
        path = storage.join(self.version.data, file_name)
        shard_ids = ShardIds(f"{task.split} shard {task.index}")
        numbers = self._numbers(task)
        ids: list[str] = []
        origins: list[str] = []
        digests: list[bytes] = []
        class_counts = np.zeros(len(identity.class_names), np.int64)
        with watch.measuring("write"), storage.open_atomic(path) as file:
            output = ShardFile(file)
            writer = shard_writer(output, path, identity, self._check, watch)
            for batch in watch.measuring_each("read", task.reader.batches(self._on_bad_record(bad))):
                if self._fails_for(bad):
                    continue  # to read on is enough to name the others
                numbers.add(batch.ids)  # before a key meets an image
                with watch.measuring("transform"):
                    plain = self._restore(batch)
                    concealed = self._conceal(plain)
                writer.write(concealed, plain)
                shard_ids.add(concealed.ids)
                class_counts += np.bincount(concealed.labels, minlength=len(class_counts))
                if batch.origins is not None and (not identity.encrypted or self._hide_names is not None):
                    ids += batch.ids
                    origins += batch.origins
                    digests += batch.digests or []
            if self._fails_for(bad):
                raise BadRecordsError(bad)
            writer.finish()
        shard = output.info(file_name, int(class_counts.sum()))
        if self._check is not None:
            with watch.measuring("check"):
                writer.check_file(shard)
        if origins:
            from lpe.pipeline.dataset.id_map import id_map, write_id_map  # noqa: PLC0415  (pyarrow is slow)

            part = id_map(ids, task.split, origins, digests or None)
            ids_path = self.version.ids_path(task.split, task.index)
            if self._hide_names is None:
                write_id_map(ids_path, [part])
            else:
                storage.write_atomic(ids_path, self._hide_names(part, task.split, task.index))
        return ShardReceipt(
            task.split,
            task.index,
            shard,
            tuple(self._listed(record, task) for record in bad),
            images=shard.examples,
            seconds=watch.seconds,
            ids=shard_ids.digests(),
            class_counts=tuple(class_counts.tolist()),
            numbers=numbers.after(),
        )

    def _numbers(self, task: ShardTask) -> IdNumbers:
        if self.numbers is None:
            return IdNumbers(task.split)
        return IdNumbers(task.split, self.numbers.get(task.split, NumberRange(0, 0)))
