"""Work on shards, wherever it is done; independent of Beam."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from lpe.pipeline import storage
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.records.bad_records import BadRecordsError
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.errors import LpeError


class ShardWork(Protocol):
    """A picklable description of what is done with each shard.

    It travels in the pipeline's graph, so it holds no secret: keys are fetched in `setup`. An object is used by one
    thread at a time. `run` may be called for the same shard again, also on another machine at the same moment, and
    gives the same files each time.
    """

    def setup(self) -> None:
        """Fetches what the work needs; called once per worker, before `run`. Raises LpeError."""

    def run(self, task: ShardTask) -> ShardReceipt:
        """Does the work on one shard. Raises LpeError or OSError if it cannot be done."""


class Worker:
    """A `ShardWork` made ready on this machine.

    A failure that a person must mend (a wrong key, bad input, a full disk) is a receipt, not an
    exception: a runner would only try the same thing again.

    Args:
      work: what is done.
    """

    def __init__(self, work: ShardWork) -> None:
        self._work = work
        self._unusable: str | None = None
        try:
            work.setup()
        except LpeError as error:
            self._unusable = str(error)

    def run(self, task: ShardTask) -> ShardReceipt:
        """Does the work on one shard; a failure is in the receipt."""
        failure = self._unusable
        if failure is None:
            try:
                return self._work.run(task)
            except BadRecordsError as error:
                bad = tuple(dataclasses.asdict(record) for record in error.records)
                return ShardReceipt(task.split, task.index, None, bad, failure=str(error))
            except LpeError as error:
                failure = str(error)
            except OSError as error:
                failure = str(storage.explain(error))
        return ShardReceipt(task.split, task.index, None, failure=failure)
