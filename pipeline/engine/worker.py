"""Work on shards, wherever it is done; knows nothing of Beam."""

from __future__ import annotations

from typing import Protocol

from lpe.pipeline import storage
from lpe.pipeline.dataset.writer import ShardReceipt
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.errors import LpeError


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
