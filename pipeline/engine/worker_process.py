"""A process that works on shards beside this one, on the same machine.

It doesn't import this one's main module, as those of `multiprocessing` do: it starts sooner, and a script that runs a
job needs no `if __name__ == "__main__":`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine.failures import JobFailedError
from lpe.pipeline.engine.worker import ShardWork, Worker
from lpe.pipeline.sources.task import ShardTask

_MAIN = (
    "import sys; sys.path[:] = sys.argv[2:]; from lpe.pipeline.engine.worker_process import serve; "
    "serve(int(sys.argv[1]))"
)
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of each product of matrices: workers that have threads for all cores keep each other waiting."""
_LOST = (
    "a worker process was killed, perhaps for lack of memory; run the same command again, with fewer --workers if it "
    "was that: finished shards are kept"
)


class WorkerProcess:
    """A `ShardWork` in a process of its own, which makes it ready for itself; the end of a `with` block ends it.

    For one thread, other than the main one.

    Args:
      work: what is done.

    Raises:
      JobFailedError: the process died.
    """

    def __init__(self, work: ShardWork) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            # Ctrl-C goes to all processes of a terminal, and is this one's affair. A child inherits what is blocked.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and words)
                [sys.executable, "-c", _MAIN, str(theirs.fileno()), *sys.path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,  # nothing is sent there: it ends when this process does
                stdout=subprocess.DEVNULL,
                env=_ONE_THREAD | os.environ,
            )
        self._call(work)

    def run(self, task: ShardTask) -> ShardReceipt:
        """Has the process do the work on a shard, and waits for it.

        Raises:
          JobFailedError: the process died.
        """
        receipt: ShardReceipt = self._call(task)
        return receipt

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.communicate()

    def _call(self, value: Any) -> Any:
        try:
            self._connection.send(value)
            answer, error = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as gone:
            raise JobFailedError([_LOST], 0) from gone
        if error is not None:
            raise error
        return answer


def serve(descriptor: int) -> None:
    """The whole life of such a process.

    Args:
      descriptor: the connection to the process that started it.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has ended
        connection = Connection(descriptor)
        worker = Worker(connection.recv())
        connection.send((None, None))
        while True:
            connection.send(_answer(worker, connection.recv()))


def _answer(worker: Worker, task: ShardTask) -> tuple[ShardReceipt | None, Exception | None]:
    try:
        return worker.run(task), None
    except Exception as error:
        return None, _picklable(error)


def _end_with_parent() -> None:
    """A parent that was killed leaves no orphans."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  (made here)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
