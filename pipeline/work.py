"""What is done with one shard, wherever it is done; knows nothing of Beam."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from pipeline import dataset, records, storage, tfrecord
from pipeline.dataset import ShardInfo
from pipeline.output import Output, ShardReceipt, write_ids
from pipeline.readers import Reader
from pipeline.sources.base import BadRecord
from pipeline.stages import BatchFunction, Stage
from transforms.errors import LpeError

_LOG = logging.getLogger("lpe")


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to be worked on: shard `index` of `count` of `split`, and where its input is."""

    split: str
    index: int
    count: int
    reader: Reader


class ShardWork(Protocol):
    """A picklable description of what is done with each shard."""

    def setup(self) -> None:
        """Fetches what the work needs; called once per worker."""

    def run(self, task: ShardTask) -> ShardReceipt:
        """Does it. Raises LpeError or OSError if it cannot be done."""


class Worker:
    """A `ShardWork` made ready, here and now.

    A failure that a person must mend (a wrong key, bad input, a full disk) is a receipt, not an
    exception: whoever runs this would only try the same thing again.
    """

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._unusable: str | None = None
        try:
            work.setup()
        except LpeError as error:
            self._unusable = str(error)

    def run(self, task: ShardTask) -> ShardReceipt:
        """Does the work on one shard."""
        failure = self._unusable
        if failure is None:
            try:
                return self._work.run(task)
            except LpeError as error:
                failure = str(error)
            except OSError as error:
                failure = str(storage.explain(error))
        return ShardReceipt(task.split, task.index, None, failure=failure)


@dataclasses.dataclass
class WriteShard:
    """Reads a shard, applies the stage to every batch, writes the result and its receipt.

    Attributes:
      stage: what happens to the images.
      output: where the shard goes.
      skip_bad_records: leave unreadable images out, instead of failing.
    """

    stage: Stage
    output: Output
    skip_bad_records: bool

    def setup(self) -> None:
        self._function: BatchFunction = self.stage.open()

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

        shard, ids = self._write(task, on_bad_record)
        if ids is not None:
            write_ids(self.output.ids_path(task.split, task.index), ids)
        receipt = ShardReceipt(task.split, task.index, shard, tuple(bad))
        storage.write_atomic(
            self.output.receipt_path(task.split, task.index), json.dumps(receipt.to_json()).encode()
        )
        return receipt

    def _write(
        self, task: ShardTask, on_bad_record: Callable[[BadRecord], None]
    ) -> tuple[ShardInfo, pa.Table | None]:
        output = self.output
        name = dataset.shard_name(output.name, task.split, task.index, task.count)
        examples = size = crc = 0
        ids: list[str] = []
        origins: list[str] = []
        with storage.open_atomic(storage.join(output.data, name)) as file:
            for batch in task.reader.batches(on_bad_record):
                data = records.encode(self._function(batch), output.format)
                file.write(data)
                examples += len(batch)
                size += len(data)
                crc = tfrecord.extend_crc32c(crc, data)
                if batch.origins is not None and not output.encrypted:
                    ids += batch.ids
                    origins += batch.origins
        table = None
        if origins:
            table = pa.table({"id": ids, "split": [task.split] * len(ids), "name": origins})
        return ShardInfo(name, examples, size, f"{crc:08x}"), table
