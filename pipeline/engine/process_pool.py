"""A pool of processes that work on shards side by side, on one machine.

Beam's local runner has two ways of its own. Encrypting 600,000 images on two cores (medians of 3), they
took 4.1 s (`multi_threading`; what is between NumPy's calls needs Python's lock) and 4.7 s
(`multi_processing`; a gRPC server, and Beam imported in each), against 6.2 s in one process and 3.7 s in
two of these, which start while the runner does and import no Beam.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import uuid
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine.child_process import leave_ending_to_parent
from lpe.pipeline.engine.failures import JobFailedError
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.sources.task import ShardTask

_LOST = (
    "a worker process was killed, perhaps for lack of memory; run the same command again, with fewer --workers if it "
    "was that: finished shards are kept"
)


class WorkerPool:
    """A `ShardWork` in some processes, each of which makes it ready for itself."""

    def __init__(self, work: ShardWork, processes: int) -> None:
        self._processes = processes
        # Forking a process that has threads, as Beam's has, can lock up; spawning can't.
        self._executor = concurrent.futures.ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _start, (work,)
        )
        self._pending: list[concurrent.futures.Future[ShardReceipt]] = []

    def start(self) -> None:
        """Starts the processes now, before there is something to do."""
        for _ in range(self._processes):
            self._executor.submit(os.getpid)

    def submit(self, task: ShardTask) -> None:
        """Hands out a shard. Raises JobFailedError as `receipts` does."""
        try:
            self._pending.append(self._executor.submit(_run, task))
        except BrokenProcessPool as error:
            raise JobFailedError([_LOST], 0) from error

    def receipts(self) -> Iterator[ShardReceipt]:
        """The receipts of all shards handed out, in that order; waits for them.

        Raises:
          JobFailedError: a process died.
        """
        pending, self._pending = self._pending, []
        try:
            for future in pending:
                yield future.result()
        except BrokenProcessPool as error:
            raise JobFailedError([_LOST], 0) from error
        except BaseException:
            # Ctrl-C: what has not begun does not begin.
            self._executor.shutdown(wait=False, cancel_futures=True)
            raise

    def close(self) -> None:
        """Ends the processes."""
        self._executor.shutdown()


_started: dict[str, WorkerPool] = {}


@contextlib.contextmanager
def started(work: ShardWork, processes: int) -> Iterator[str]:
    """Has processes start while a runner does; `claim` takes them. Yields the name to claim them by."""
    name = uuid.uuid4().hex
    if processes > 1:
        _started[name] = WorkerPool(work, processes)
        _started[name].start()
    try:
        yield name
    finally:
        pool = _started.pop(name, None)
        if pool is not None:
            pool.close()


def claim(name: str, work: ShardWork, processes: int) -> WorkerPool:
    """The processes that `started` this name in this process; new ones on another machine."""
    return _started.pop(name, None) or WorkerPool(work, processes)


_worker: Worker | None = None


def _start(work: ShardWork) -> None:
    global _worker  # noqa: PLW0603  (a process of the pool has one work, and no other place for it)
    leave_ending_to_parent()
    _worker = Worker(work)


def _run(task: ShardTask) -> ShardReceipt:
    if _worker is None:
        raise RuntimeError("the process was not started by a WorkerPool")
    return _worker.run(task)
