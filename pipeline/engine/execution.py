"""The execution of every job: shards in, one piece of work per shard, one step at the end.

On this machine unless Beam's options name a runner; the work, and the bytes that come out, are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lpe.pipeline.engine import local
from lpe.pipeline.engine.failures import Finish
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.watch import Watch, watched
from lpe.pipeline.engine.worker import ShardWork
from lpe.pipeline.sources.task import ShardTask

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


def run(
    tasks: Sequence[ShardTask],
    work: ShardWork,
    finish: Finish,
    options: PipelineOptions | None,
    *,
    processes: int | None = None,
    size: int = 0,
    watch: Watch | None = None,
) -> JobMetrics | None:
    """Does the work on every shard, and then the last step.

    Args:
      tasks: the shards.
      work: what is done with each.
      finish: the last step.
      options: Beam's, which name its runner; None for this machine, without Beam.
      processes: how many work at once on this machine; None for as many as pay.
      size: bytes of all images; 0 if it is not known.
      watch: shows progress.

    Returns:
      What was counted; None where the runner does not tell.

    Raises:
      ShardsFailedError: shards could not be done.
      JobStaged: the options ask for a template; it was staged, and nothing is run.
      DataError: the job failed on another machine's runner, for another reason.
    """
    with watched(watch):
        if options is None:
            return local.run(tasks, work, finish, processes, size)
        from lpe.pipeline.engine import shard_pipeline  # noqa: PLC0415  (imports Beam)

        return shard_pipeline.run(tasks, work, finish, options)
