"""The execution of a job on this machine: in this process, and in others beside it where they pay.

No runner is needed for that, and none is imported. This process works as the others do, from the first moment on.
"""

from __future__ import annotations

import collections
import copy
import threading
from collections.abc import Callable, Sequence

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine import metrics
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.failures import Finish, JobFailedError, failure_in
from lpe.pipeline.engine.memory import WORKER_BYTES, free_memory
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.engine.worker_process import WorkerProcess
from lpe.pipeline.sources.task import ShardTask

_SECONDS_THAT_PAY = 1.0
"""Work that must be left for each process: to start one takes half a second."""
_BYTES_PER_SECOND = 250e6
"""What a process does, until it is measured."""


def run(
    tasks: Sequence[ShardTask], work: ShardWork, finish: Finish, processes: int | None, size: int
) -> JobMetrics:
    """Does the work on every shard, and then the last step.

    Args:
      tasks: the shards.
      work: what is done with each.
      finish: the last step.
      processes: how many work at once; None for as many as the work pays for, and cores and memory allow.
      size: bytes of all images; 0 if it is not known.

    Raises:
      ShardsFailedError: shards could not be done.
    """
    try:
        receipts = _Crew(tasks, work, processes, size).receipts()
        finish(receipts)
    except JobFailedError as error:
        raise failure_in(error) or error from error
    return metrics.total(receipts)


class _Crew:
    """The processes that work on a job's shards, each of which takes the next one when it is free."""

    def __init__(self, tasks: Sequence[ShardTask], work: ShardWork, processes: int | None, size: int) -> None:
        self._waiting = collections.deque(tasks)
        self._work = work
        self._processes = processes
        self._most = min(len(tasks), processes or most_processes())
        self._images = sum(task.reader.expected() for task in tasks)
        self._seconds_per_image = size / _BYTES_PER_SECOND / max(1, self._images)
        self._receipts: list[ShardReceipt] = []
        self._error: Exception | None = None

    def receipts(self) -> list[ShardReceipt]:
        """Has all shards done; their receipts, in no order. Raises JobFailedError if another process died."""
        if self._most <= 1:
            self._work_here()
            return self._receipts
        helpers: list[threading.Thread] = []

        def send_for_help() -> None:
            while self._waiting and len(helpers) + 1 < self._paid_for():
                # Threads that only wait: other processes do the work.
                helpers.append(threading.Thread(target=self._work_elsewhere, daemon=True))
                helpers[-1].start()

        try:
            self._work_here(send_for_help)
            for helper in helpers:
                helper.join()
        finally:
            self._waiting.clear()  # after Ctrl-C the others end with the shard that they are at
        if self._error is not None:
            raise self._error
        return self._receipts

    def _paid_for(self) -> int:
        """How many processes the images that wait pay for."""
        if self._processes is not None:
            return self._most
        left = sum(task.reader.expected() for task in tuple(self._waiting))
        return min(self._most, 1 + int(left * self._seconds_per_image / _SECONDS_THAT_PAY))

    def _work_here(self, before_each: Callable[[], None] = lambda: None) -> None:
        """Does the work on shards in this process until none is left."""
        worker = Worker(copy.copy(self._work))  # what is made ready holds keys, and goes to no other process
        before_each()
        while (task := self._next()) is not None:
            watch = Stopwatch()
            with watch.measuring("shard"):
                receipt = worker.run(task)
            self._receipts.append(receipt)
            if receipt.images and not receipt.kept:
                self._seconds_per_image = watch.seconds["shard"] / receipt.images
            before_each()

    def _work_elsewhere(self) -> None:
        """Has shards done by another process until none is left."""
        try:
            with WorkerProcess(self._work) as process:
                while (task := self._next()) is not None:
                    self._receipts.append(process.run(task))
        except Exception as error:  # raised where the job was started
            self._error = error
            self._waiting.clear()

    def _next(self) -> ShardTask | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None


def has_spare_core(processes: int | None) -> bool:
    """Whether a process may use more than a core: where nobody has said how many processes work at once."""
    return processes is None and usable_cores() > 1


def most_processes() -> int:
    """How many processes may work at once: one a core, and no more than memory is enough for."""
    return max(1, min(usable_cores(), free_memory() // WORKER_BYTES))
