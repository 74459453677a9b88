"""The execution of a job on this machine: in this process, and in others beside it where they pay.

No runner is needed for that, and none is imported. This process works as the others do, from the first moment on.
"""

from __future__ import annotations

import collections
import copy
import threading
import time
from collections.abc import Callable, Sequence

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine import metrics
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.failures import Finish, JobFailedError, failure_in
from lpe.pipeline.engine.memory import WORKER_BYTES, free_memory
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.engine.worker_process import WorkerProcess
from lpe.pipeline.sources.carried import CarriedShard
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
    """The processes that work on a job's shards, each of which takes the next one when it is free.

    Where nobody has said how many, and another core is free, this one works on two shards at once, in threads: most of
    the work is done within NumPy and the system, and to start a thread takes no time.
    """

    def __init__(self, tasks: Sequence[ShardTask], work: ShardWork, processes: int | None, size: int) -> None:
        self._waiting = collections.deque(tasks)
        self._work = work
        self._processes = processes
        self._most = min(len(tasks), processes or most_processes())
        self._seconds_per_image = size / _BYTES_PER_SECOND / max(1, _images(tasks))
        self._receipts: list[ShardReceipt] = []
        self._helpers: list[threading.Thread] = []
        self._started = self._threads = 1
        self._error: Exception | None = None

    def receipts(self) -> list[ShardReceipt]:
        """Has all shards done; their receipts, in no order. Raises JobFailedError if another process died."""
        try:
            self._send_for_help()
            if (
                self._processes is None
                and self._started == 1
                and len(self._waiting) > 1
                and usable_cores() > 1
            ):
                self._threads = 2
                self._help(self._work_here)
            self._work_here(self._send_for_help)
            for helper in self._helpers:
                helper.join()
        finally:
            self._waiting.clear()  # after Ctrl-C the others end with the shard that they are at
        if self._error is not None:
            raise self._error
        return self._receipts

    def _send_for_help(self) -> None:
        """Starts as many processes as what is left pays for."""
        while self._waiting and self._started < self._paid_for():
            self._started += 1
            self._help(self._work_elsewhere)

    def _help(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:  # raised where the job was started
                self._error = error
                self._waiting.clear()

        self._helpers.append(threading.Thread(target=run, daemon=True))
        self._helpers[-1].start()

    def _paid_for(self) -> int:
        """How many processes the images that wait pay for."""
        if self._processes is not None:
            return self._most
        left = _images(tuple(self._waiting))
        return min(self._most, 1 + int(left * self._seconds_per_image / _SECONDS_THAT_PAY))

    def _work_here(self, after_each: Callable[[], None] = lambda: None) -> None:
        """Does the work on shards in this process until none is left."""
        worker = Worker(copy.copy(self._work))  # what is made ready holds keys, and goes to no other process
        while (task := self._next()) is not None:
            started = time.monotonic()
            receipt = worker.run(task)
            self._receipts.append(receipt)
            if receipt.images and not receipt.kept:
                # Two threads take about as long for a shard each as one for both.
                self._seconds_per_image = (time.monotonic() - started) / receipt.images / self._threads
            after_each()

    def _work_elsewhere(self) -> None:
        """Has shards done by another process until none is left."""
        with WorkerProcess(self._work) as process:
            while (task := self._next()) is not None:
                self._receipts.append(process.run(task))

    def _next(self) -> ShardTask | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None


def _images(tasks: Sequence[ShardTask]) -> int:
    """Those to be read: a shard that is carried over takes no time."""
    return sum(task.reader.expected() for task in tasks if not isinstance(task.reader, CarriedShard))


def most_processes() -> int:
    """How many processes may work at once: one a core, and no more than memory is enough for."""
    return max(1, min(usable_cores(), free_memory() // WORKER_BYTES))
