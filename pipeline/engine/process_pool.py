"""A pool of processes that work on shards beside this one, on one machine."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import ParamSpec, TypeVar

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine.child_process import leave_ending_to_parent
from lpe.pipeline.engine.failures import JobFailedError
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.sources.task import ShardTask

P = ParamSpec("P")
T = TypeVar("T")

_LOST = (
    "a worker process was killed, perhaps for lack of memory; run the same command again, with fewer --workers if it "
    "was that: finished shards are kept"
)


class WorkerPool:
    """A `ShardWork` in some processes, each of which makes it ready for itself. Any thread may use it.

    As a context manager it waits for its processes to end, unless the block is left by an exception.

    Args:
      work: what is done.
      most: how many processes there may be; they start when they are needed.
    """

    def __init__(self, work: ShardWork, most: int) -> None:
        # Forking a process that has threads can lock up; spawning can't.
        self._executor = concurrent.futures.ProcessPoolExecutor(
            most, multiprocessing.get_context("spawn"), _start, (work,)
        )

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After Ctrl-C, what has not begun does not begin, and nobody waits for what has.
        self._executor.shutdown(wait=error is None, cancel_futures=error is not None)

    def wait_for_process(self) -> None:
        """Waits until a process is free, which is started if there may be more. Raises JobFailedError as `run`."""
        self._result(os.getpid)

    def run(self, task: ShardTask) -> ShardReceipt:
        """Has a process do the work on a shard, and waits for it.

        Raises:
          JobFailedError: a process died.
        """
        return self._result(_run, task)

    def _result(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return self._executor.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise JobFailedError([_LOST], 0) from error


_worker: Worker | None = None


def _start(work: ShardWork) -> None:
    global _worker  # noqa: PLW0603  (a process of the pool has one work, and no other place for it)
    leave_ending_to_parent()
    _worker = Worker(work)


def _run(task: ShardTask) -> ShardReceipt:
    if _worker is None:
        raise RuntimeError("the process was not started by a WorkerPool")
    return _worker.run(task)
