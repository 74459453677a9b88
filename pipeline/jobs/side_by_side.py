"""Processes that work side by side, while the caller's process does something else.

A network of this size trains on little more than one core, however many there are. Two processes train two networks on
two cores in little more time than one, and import their libraries while the data is still being made.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from lpe.pipeline.engine.child_process import leave_ending_to_parent
from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.progress import Progress
from lpe.transforms.errors import LpeError

_Result = TypeVar("_Result")
_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Without these each process would take all of a GPU's memory."""
_THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
"""Without these each process would have threads for all cores, which keep each other waiting."""


class Listener:
    """A function's way to report to the process that called it: the functions that `fit` takes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def note(self, line: str) -> None:
        """Reports something that has happened."""
        self.send("note", line)

    def status(self, line: str) -> None:
        """Reports what goes on now."""
        self.send("status", line)

    def send(self, kind: str, value: Any) -> None:
        """Sends a message; threads may send at once."""
        with self._lock:
            self._connection.send((kind, value))


_Prepare = Callable[[Listener], None]


def nothing(listener: Listener) -> None:
    """What a process does at its start that has nothing to prepare."""


_Child = tuple[BaseProcess, Connection]


class SideBySide(Generic[_Result]):
    """Processes that call functions; the end of a `with` block ends them.

    Args:
      processes: how many there are.
      prepare: called in each at its start, with a `Listener`; can be pickled, as all that goes to a process.
      preload: a module that, on Linux, is imported once for all processes; see `lpe.train.preloaded`.
      progress: what they report goes there, with the calls' names, from threads of this object.
    """

    def __init__(
        self, processes: int, prepare: _Prepare, progress: Progress, preload: str | None = None
    ) -> None:
        self._prepare = prepare
        self._context = _context(preload)
        self._progress = progress
        defaults = _GPU | dict.fromkeys(_THREADS, str(max(1, usable_cores() // processes)))
        self._environment = {name: os.environ.get(name, value) for name, value in defaults.items()}
        self._status: dict[str, str] = {}
        self._running: list[BaseProcess] = []
        self._ended = False
        self._idle: queue.SimpleQueue[_Child | Exception] = queue.SimpleQueue()
        for _ in range(processes):
            # The start of a process waits for what is preloaded.
            threading.Thread(target=self._start, name="lpe-start", daemon=True).start()
        self._executor = concurrent.futures.ThreadPoolExecutor(processes, thread_name_prefix="lpe-beside")
        self._futures: dict[str, concurrent.futures.Future[_Result]] = {}

    def submit(self, name: str, function: Callable[..., _Result], *arguments: Any) -> None:
        """Has a process call a function with these arguments and a `Listener`, as soon as one is free."""
        self._futures[name] = self._executor.submit(self._call, name, function, arguments)

    def result(self, name: str) -> _Result:
        """The result of a function that was submitted; waits for it.

        Raises:
          LpeError: its own, or its process died.
        """
        return self._futures[name].result()

    def finished(self) -> Iterator[tuple[str, _Result]]:
        """The names and results of all functions that were submitted, as they come; waits for them.

        Raises:
          LpeError: as `result` does, of the first that fails.
        """
        names = {future: name for name, future in self._futures.items()}
        for future in concurrent.futures.as_completed(names):
            yield names[future], future.result()

    def status(self, name: str, line: str) -> None:
        """Shows what goes on now in a call, or in the caller's process; an empty line for nothing more."""
        self._status[name] = line
        going_on = [f"{name}: {line}" for name, line in sorted(self._status.items()) if line]
        if going_on:
            self._progress.status("; ".join(going_on))

    def __enter__(self) -> SideBySide[_Result]:
        """Itself, with its processes started."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the processes."""
        self._ended = True
        for process in self._running:
            process.terminate()
        for _ in self._futures:  # those that wait for a process
            self._idle.put(LpeError("ended before it began"))
        self._executor.shutdown(cancel_futures=True)

    def _start(self) -> None:
        """Starts a process, which is idle then."""
        # Ctrl-C goes to all processes of a terminal, and is this one's affair. A child inherits what is blocked.
        resource_tracker.ensure_running()  # whose start would unblock it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            ours, theirs = self._context.Pipe()
            arguments = (theirs, self._prepare, self._environment)
            process: BaseProcess = self._context.Process(target=_run, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._running.append(process)
            if self._ended:
                process.terminate()
            self._idle.put((process, ours))
        except Exception as error:  # which is the call's that waits for the process
            self._idle.put(error)

    def _call(self, name: str, function: Callable[..., _Result], arguments: tuple[Any, ...]) -> _Result:
        idle = self._idle.get()
        if isinstance(idle, Exception):
            raise idle
        process, connection = idle
        try:
            connection.send((function, arguments))
            while True:
                kind, value = connection.recv()
                if kind == "note":
                    self._progress.note(f"{name}: {value}")
                elif kind == "status":
                    self.status(name, value)
                elif kind == "error":
                    raise value
                else:
                    result: _Result = value
                    return result
        except (EOFError, BrokenPipeError, ConnectionResetError):
            process.join()
            raise LpeError(
                f"{name}: its process ended with exit code {process.exitcode}, perhaps for lack of memory; run the "
                "same again, it goes on where it stopped (in a script, under `if __name__ == "
                '"__main__":`)'
            ) from None
        finally:
            self.status(name, "")
            self._idle.put((process, connection))


def _context(preload: str | None) -> Any:
    """How processes are started: not by forking this one, which can lock up where it has threads, as Beam's has."""
    if preload is None or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    # Forked from a process that did nothing but import. It is one for all of this process's life, and ends with it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    return context


def _run(connection: Connection, prepare: _Prepare, environment: Mapping[str, str]) -> None:
    """The whole life of a process."""
    leave_ending_to_parent()
    os.environ.update(environment)
    warnings.simplefilter("ignore")  # libraries' chatter, for developers
    listener = Listener(connection)
    try:
        prepare(listener)
        while True:
            function, arguments = connection.recv()
            listener.send("result", function(*arguments, listener))
    except LpeError as error:
        listener.send("error", error)
