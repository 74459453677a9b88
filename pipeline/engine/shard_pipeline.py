"""The one pipeline of all jobs: shards in, one piece of work per shard, one step at the end.

    Create(tasks) | Reshuffle | ParDo(ShardFn(work)) | CombineGlobally | ParDo(finish)

An element is a shard; no image ever crosses a shuffle. What a worker needs travels as small
values; keys and files are opened in `setup()` and `process()`, where the work is done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils import interactive_utils

from lpe.pipeline import storage
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.authentication import Signer
from lpe.pipeline.engine import metrics, runners
from lpe.pipeline.engine.failures import JobFailedError, fail_if_any, failure_in
from lpe.pipeline.engine.metrics import JobMetrics, ShardCounters
from lpe.pipeline.engine.process_pool import WorkerPool, claim, started
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.errors import LpeError


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind the error: the local runner works in this thread, and wraps that too."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


_IS_IN_IPYTHON = interactive_utils.is_in_ipython

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
        self._counters = ShardCounters()
        self._worker: Worker | None = None
        self._pool: WorkerPool | None = None

    def setup(self) -> None:
        """Makes the work ready, or takes the processes that do it."""
        if self._processes == 1:
            self._worker = Worker(self._work)
        else:
            self._pool = claim(self._pool_name, self._work, self._processes)

    def process(self, task: ShardTask) -> Iterator[ShardReceipt]:
        """Does the work on a shard, or hands it out."""
        if self._worker is not None:
            yield self._counted(self._worker.run(task))
        elif self._pool is not None:
            self._pool.submit(task)

    def finish_bundle(self) -> Iterator[Any]:
        """Collects the receipts of shards that were handed out."""
        if self._pool is not None:
            for receipt in self._pool.receipts():
                yield GlobalWindows.windowed_value(self._counted(receipt))

    def teardown(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.close()

    def _counted(self, receipt: ShardReceipt) -> ShardReceipt:
        self._counters.count(receipt)
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


@dataclasses.dataclass(frozen=True)
class Watch:
    """Follows a job while it runs.

    Attributes:
      look: called now and then, and at the end.
      every: seconds between two looks.
    """

    look: Callable[[], None]
    every: float


def run(
    tasks: Iterable[ShardTask],
    work: ShardWork,
    finish: Finish,
    options: PipelineOptions,
    *,
    processes: int = 1,
    watch: Watch | None = None,
) -> JobMetrics | None:
    """Builds the pipeline, runs it and waits for its end.

    Args:
      processes: how many work at once on a machine.
      watch: shows progress.

    Returns:
      What was counted; None where the runner does not tell.

    Raises:
      ShardsFailedError: shards could not be done.
      JobStaged: the options ask for a template; it was staged, and nothing is run.
      DataError: the job failed on another machine's runner, for another reason.
    """
    template = runners.template(options)
    local_processes = processes if runners.is_local(options) else 1
    result: PipelineResult | None = None
    with _watched(watch):
        try:
            with started(work, local_processes) as pool, _no_notebook():
                result = _pipeline(tasks, ShardFn(work, processes, pool), finish, options).run()
                if template is None:
                    result.wait_until_finish()
        except KeyboardInterrupt:
            if result is not None:
                with contextlib.suppress(Exception):
                    result.cancel()  # the next run continues; two at once would do the same work
            raise
        except Exception as error:
            if _interrupted(error):
                raise KeyboardInterrupt from error
            raise failure_in(error) or runners.explained(options, error) from error
    if template is not None:
        raise runners.JobStaged(template)
    return metrics.collect_metrics(result)


@contextlib.contextmanager
def _no_notebook() -> Iterator[None]:
    """Has Beam not see that it is in a notebook: it would want its extra `interactive`, to show pipelines there."""
    for module in (interactive_utils, beam.pipeline):
        module.is_in_ipython = lambda: False
    try:
        yield
    finally:
        for module in (interactive_utils, beam.pipeline):
            module.is_in_ipython = _IS_IN_IPYTHON


def _pipeline(
    tasks: Iterable[ShardTask], work: ShardFn, finish: Finish, options: PipelineOptions
) -> beam.Pipeline:
    try:
        pipeline = beam.Pipeline(options=options)
    except OSError as error:
        raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error
    # What Beam made there is for other languages' transforms; a killed job would leave it behind.
    with contextlib.suppress(OSError):
        Path(pipeline.local_tempdir).rmdir()
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(tasks))
        | "Spread" >> beam.Reshuffle()
        | "Work" >> beam.ParDo(work)
        | "Gather" >> beam.CombineGlobally(_Gather())
        | "Finish" >> beam.Map(finish)
    )
    return pipeline


@contextlib.contextmanager
def _watched(watch: Watch | None) -> Iterator[None]:
    """Looks at the job now and then while the block lasts, and once when it ends."""
    if watch is None:
        yield
        return
    ended = threading.Event()

    def look_on() -> None:
        last = False
        while not last:
            last = ended.wait(watch.every)
            with contextlib.suppress(LpeError, OSError):  # what cannot be looked at now may be later
                watch.look()

    watcher = threading.Thread(target=look_on, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@dataclasses.dataclass(frozen=True)
class Commit:
    """The last step of a job that writes a dataset: publish it, or say why not.

    Attributes:
      version: what was written.
      manifest: goes into manifest.json or encryption.json.
      splits: their order.
      signer: makes the MACs of an encrypted version; None for plain data.
    """

    version: NewVersion
    manifest: dict[str, object]
    splits: tuple[str, ...]
    signer: Signer | None = None

    def __call__(self, receipts: list[ShardReceipt]) -> None:
        """Publishes. Raises JobFailedError, which passes through any runner."""
        fail_if_any(receipts)
        try:
            sign = self.signer.open() if self.signer is not None else None
            self.version.commit(receipts, self.manifest, list(self.splits), sign)
        except LpeError as error:
            raise JobFailedError([str(error)], 0) from error
        except OSError as error:
            raise JobFailedError([str(storage.explain(error))], 0) from error
