"""Every job as a Beam pipeline, for Beam's runners.

    Create(tasks) | Reshuffle | ParDo(ShardFn(work)) | CombineGlobally | ParDo(finish)

An element is a shard; no image ever crosses a shuffle. What a worker needs travels as small
values; keys and files are opened in `setup()` and `process()`, where the work is done.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from apache_beam.utils import interactive_utils

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine import beam_metrics, runners
from lpe.pipeline.engine.beam_metrics import ShardCounters
from lpe.pipeline.engine.failures import Finish, failure_in
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.sources.task import ShardTask


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind the error: the local runner works in this thread, and wraps that too."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


_IS_IN_IPYTHON = interactive_utils.is_in_ipython


class ShardFn(beam.DoFn):
    """Runs a `ShardWork` on each shard.

    Args:
      work: what is done.
    """

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._counters = ShardCounters()
        self._worker: Worker | None = None

    def setup(self) -> None:
        """Makes the work ready."""
        self._worker = Worker(self._work)

    def process(self, task: ShardTask) -> Iterator[ShardReceipt]:
        """Does the work on a shard."""
        assert self._worker is not None  # Beam calls `setup` first
        receipt = self._worker.run(task)
        self._counters.count(receipt)
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
    tasks: Iterable[ShardTask], work: ShardWork, finish: Finish, options: PipelineOptions
) -> JobMetrics | None:
    """Builds the pipeline, runs it and waits for its end; returns and raises what `execution.run` does."""
    template = runners.template(options)
    result: PipelineResult | None = None
    try:
        with _no_notebook():
            result = _pipeline(tasks, ShardFn(work), finish, options).run()
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
    return beam_metrics.collect_metrics(result)


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
