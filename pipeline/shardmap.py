"""THE pipeline: every job is shards in, one piece of work per shard, one step at the end.

    Create(tasks) | Reshuffle | ParDo(ShardFn(work)) | CombineGlobally | ParDo(finish)

An element is a shard; no image ever crosses a shuffle. What a worker needs travels as small
values; keys and files are opened in `setup()` and `process()`, where the work is done.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import dataset, records, storage
from pipeline.dataset import ShardInfo
from pipeline.output import Output, ShardReceipt, write_ids
from pipeline.readers import Reader
from pipeline.sources.base import BadRecord
from pipeline.stages import BatchFunction, Stage
from transforms.errors import DataError, LpeError

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


class JobFailedError(Exception):
    """Raised by the last step when shards could not be done."""


def _job_failed(reasons: list[str]) -> JobFailedError:
    """The error that carries the reasons through any runner.

    A runner passes an error on as text, quoted and with its own words around it: the reasons stand
    there once for people and once so that they can be found again.
    """
    packed = base64.b64encode(json.dumps(reasons).encode()).decode()
    return JobFailedError(f"{'; '.join(reasons)} <lpe:{packed}>")


def _reasons(error: Exception) -> list[str] | None:
    """The reasons that a runner's error carries, if it is about a JobFailedError."""
    found = re.search(r"<lpe:([A-Za-z0-9+/=]+)>", str(error))
    return json.loads(base64.b64decode(found[1])) if found else None


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind the error: the local runner works in this thread, and wraps that too."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


Finish = Callable[[list[ShardReceipt]], None]
"""The last step; gets the receipt of every shard, in no order."""


class ShardFn(beam.DoFn):
    """Runs a `ShardWork` on each shard.

    A failure that a person must mend (bad input, a full disk) is a receipt, not an exception:
    a runner would only try the same thing again.
    """

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._images = Metrics.counter("lpe", "images")
        self._bytes = Metrics.counter("lpe", "bytes")
        self._bad = Metrics.counter("lpe", "bad_records")
        self._unusable: str | None = None

    def setup(self) -> None:
        try:
            self._work.setup()
        except LpeError as error:
            self._unusable = str(error)

    def process(self, task: ShardTask) -> Iterator[ShardReceipt]:
        if self._unusable is not None:
            yield ShardReceipt(task.split, task.index, None, failure=self._unusable)
            return
        try:
            receipt = self._work.run(task)
        except LpeError as error:
            receipt = ShardReceipt(task.split, task.index, None, failure=str(error))
        except OSError as error:
            receipt = ShardReceipt(task.split, task.index, None, failure=str(storage.explain(error)))
        if receipt.shard is not None:
            self._images.inc(receipt.shard.examples)
            self._bytes.inc(receipt.shard.bytes)
        self._bad.inc(len(receipt.bad))
        yield receipt


class _Gather(beam.CombineFn):
    """All elements as one list."""

    def create_accumulator(self) -> list[ShardReceipt]:
        return []

    def add_input(self, accumulator: list[ShardReceipt], element: ShardReceipt) -> list[ShardReceipt]:
        accumulator.append(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[ShardReceipt]]) -> list[ShardReceipt]:
        return [element for part in accumulators for element in part]

    def extract_output(self, accumulator: list[ShardReceipt]) -> list[ShardReceipt]:
        return accumulator


def run(
    tasks: Iterable[ShardTask],
    work: ShardWork,
    finish: Finish,
    options: PipelineOptions,
    *,
    watch: Callable[[], None] | None = None,
) -> None:
    """Builds the pipeline, runs it and waits for its end.

    Args:
      watch: called twice a second meanwhile, to show progress.

    Raises:
      DataError: shards could not be done; the first reason.
    """
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(tasks))
        | "Spread" >> beam.Reshuffle()
        | "Work" >> beam.ParDo(ShardFn(work))
        | "Gather" >> beam.CombineGlobally(_Gather())
        | "Finish" >> beam.Map(finish)
    )
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(watch, over), daemon=True)
    if watch is not None:
        watcher.start()
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        reasons = _reasons(error)
        if reasons is None:
            raise
        more = f" (and {len(reasons) - 1} more like this)" if len(reasons) > 1 else ""
        raise DataError(reasons[0] + more) from error
    finally:
        over.set()
        if watch is not None:
            watcher.join()
            watch()


def _watch(watch: Callable[[], None], over: threading.Event) -> None:
    while not over.wait(0.5):
        watch()


# ---------------------------------------------------------------- work that writes a dataset


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
                crc = records.extend_crc32c(crc, data)
                if batch.origins is not None and not output.encrypted:
                    ids += batch.ids
                    origins += batch.origins
        table = None
        if origins:
            table = pa.table({"id": ids, "split": [task.split] * len(ids), "name": origins})
        return ShardInfo(name, examples, size, f"{crc:08x}"), table


@dataclasses.dataclass(frozen=True)
class Commit:
    """The last step of a job that writes a dataset: publish it, or say why not.

    Attributes:
      output: what was written.
      manifest: goes into manifest.json or encryption.json.
      splits: their order.
    """

    output: Output
    manifest: dict[str, object]
    splits: tuple[str, ...]

    def __call__(self, receipts: list[ShardReceipt]) -> None:
        failures = sorted({receipt.failure for receipt in receipts if receipt.failure is not None})
        if failures:
            raise _job_failed(failures)
        self.output.commit(receipts, self.manifest, list(self.splits))


def fingerprint(**settings: object) -> str:
    """Identifies a job by its settings: SHA-256 (hex) of their canonical JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
