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
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows

from pipeline.output import Output, ShardReceipt
from pipeline.pool import WorkerPool, claim, started
from pipeline.work import ShardTask, ShardWork, Worker
from transforms.errors import DataError


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
    """Runs a `ShardWork` on each shard: here, or in a pool of processes beside.

    With a pool, shards are handed out as they come and receipts collected when the bundle ends: the
    local runner gives all shards as one bundle. The processes fetch keys for themselves.

    Args:
      work: what is done.
      processes: how many at once; 1 works in this process.
      pool: the name of processes that may have been started for it.
    """

    def __init__(self, work: ShardWork, processes: int, pool: str) -> None:
        self._work = work
        self._processes = processes
        self._pool_name = pool
        self._images = Metrics.counter("lpe", "images")
        self._bytes = Metrics.counter("lpe", "bytes")
        self._bad = Metrics.counter("lpe", "bad_records")
        self._worker: Worker | None = None
        self._pool: WorkerPool | None = None

    def setup(self) -> None:
        if self._processes == 1:
            self._worker = Worker(self._work)
        else:
            self._pool = claim(self._pool_name, self._work, self._processes)

    def process(self, task: ShardTask) -> Iterator[ShardReceipt]:
        if self._worker is not None:
            yield self._counted(self._worker.run(task))
        elif self._pool is not None:
            self._pool.submit(task)

    def finish_bundle(self) -> Iterator[Any]:
        if self._pool is not None:
            for receipt in self._pool.receipts():
                yield GlobalWindows.windowed_value(self._counted(receipt))

    def teardown(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _counted(self, receipt: ShardReceipt) -> ShardReceipt:
        if receipt.shard is not None:
            self._images.inc(receipt.shard.examples)
            self._bytes.inc(receipt.shard.bytes)
        self._bad.inc(len(receipt.bad))
        return receipt


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
    processes: int = 1,
    watch: Callable[[], None] | None = None,
) -> None:
    """Builds the pipeline, runs it and waits for its end.

    Args:
      processes: how many work at once on a machine.
      watch: called twice a second meanwhile, to show progress.

    Raises:
      DataError: shards could not be done; the first reason.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(watch, over), daemon=True)
    if watch is not None:
        watcher.start()
    try:
        with started(work, processes) as pool:
            _pipeline(tasks, ShardFn(work, processes, pool), finish, options).run().wait_until_finish()
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


def _pipeline(
    tasks: Iterable[ShardTask], work: ShardFn, finish: Finish, options: PipelineOptions
) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(tasks))
        | "Spread" >> beam.Reshuffle()
        | "Work" >> beam.ParDo(work)
        | "Gather" >> beam.CombineGlobally(_Gather())
        | "Finish" >> beam.Map(finish)
    )
    return pipeline


def _watch(watch: Callable[[], None], over: threading.Event) -> None:
    while not over.wait(0.5):
        watch()


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
