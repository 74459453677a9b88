"""Processes that work on shards side by side, on one machine.

Measured against the alternatives on two cores (see README): Beam's threads gain nothing, since most
of the time between NumPy calls is spent under Python's lock; its own processes take seconds to start
and a gRPC server each. These start in a few tenths of a second and import no Beam.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator

from pipeline.output import ShardReceipt
from pipeline.work import ShardTask, ShardWork, Worker


class WorkerPool:
    """A `ShardWork` in some processes, each of which makes it ready for itself."""

    def __init__(self, work: ShardWork, processes: int) -> None:
        # Forking a process that has threads, as Beam's has, can lock up; spawning can't.
        self._executor = concurrent.futures.ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _start, (work,)
        )
        self._pending: list[concurrent.futures.Future[ShardReceipt]] = []

    def submit(self, task: ShardTask) -> None:
        """Hands out a shard."""
        self._pending.append(self._executor.submit(_run, task))

    def receipts(self) -> Iterator[ShardReceipt]:
        """The receipts of all shards handed out, in that order; waits for them.

        Raises:
          BrokenProcessPool: a process died, e.g. for lack of memory.
        """
        pending, self._pending = self._pending, []
        try:
            for future in pending:
                yield future.result()
        except BaseException:
            # Ctrl-C: what has not begun does not begin.
            self._executor.shutdown(wait=False, cancel_futures=True)
            raise

    def close(self) -> None:
        """Ends the processes."""
        self._executor.shutdown()


_worker: Worker | None = None


def _start(work: ShardWork) -> None:
    global _worker  # noqa: PLW0603  (a process of the pool has one work, and no other place for it)
    # Ctrl-C goes to all processes of a terminal: the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker = Worker(work)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """A parent that was killed leaves no orphans."""
    parent.join()
    os._exit(1)


def _run(task: ShardTask) -> ShardReceipt:
    if _worker is None:
        raise RuntimeError("the process was not started by a WorkerPool")
    return _worker.run(task)
