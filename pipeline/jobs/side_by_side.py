"""Functions in processes of their own, side by side, while the caller's process does something else.

A network trains on about one core, however many there are. Two processes train two networks on two cores in little more
time than one, and the time in which the libraries are imported is shared too.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from lpe.pipeline.engine.progress import Progress
from lpe.transforms.errors import LpeError

_Result = TypeVar("_Result")
_Function = Callable[..., _Result]
# Each of two processes with a GPU would otherwise take all of its memory.
_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class Listener:
    """A function's way to report to the process that started it: the functions that `fit` takes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def note(self, line: str) -> None:
        """Reports something that has happened."""
        self._send("note", line)

    def status(self, line: str) -> None:
        """Reports what goes on now."""
        self._send("status", line)

    def _send(self, kind: str, value: Any) -> None:
        with self._lock:
            self._connection.send((kind, value))


class SideBySide(Generic[_Result]):
    """Functions that run in processes of their own.

    Args:
      calls: by name a function that can be pickled, and its arguments; it is also given a `Listener`.
      processes: how many run at once.
      progress: what they report goes there, with their names, from threads of this object.
    """

    def __init__(
        self,
        calls: Mapping[str, tuple[_Function[_Result], tuple[Any, ...]]],
        processes: int,
        progress: Progress,
    ) -> None:
        self._progress = progress
        self._running: list[BaseProcess] = []
        self._status: dict[str, str] = {}
        self._ended = False
        self._executor = concurrent.futures.ThreadPoolExecutor(processes, thread_name_prefix="lpe-beside")
        self._futures = {
            name: self._executor.submit(self._follow, name, *call) for name, call in calls.items()
        }

    def result(self, name: str) -> _Result:
        """A function's result; waits for it.

        Raises:
          LpeError: its own, or its process died.
        """
        return self._futures[name].result()

    def status(self, name: str, line: str) -> None:
        """Shows what goes on now in one of them, or in the caller's process; an empty line for nothing more."""
        self._status[name] = line
        going_on = [f"{name}: {line}" for name, line in sorted(self._status.items()) if line]
        if going_on:
            self._progress.status("; ".join(going_on))

    def close(self) -> None:
        """Ends the processes that still run."""
        self._ended = True
        for process in self._running:
            process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def _follow(self, name: str, function: _Function[_Result], arguments: tuple[Any, ...]) -> _Result:
        # Forking a process that has threads, as Beam's has, can lock up; spawning can't.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(sender, function, arguments), daemon=True)
        process.start()
        self._running.append(process)
        if self._ended:
            process.terminate()
        sender.close()
        try:
            while True:
                kind, value = receiver.recv()
                if kind == "note":
                    self._progress.note(f"{name}: {value}")
                elif kind == "status":
                    self.status(name, value)
                elif kind == "error":
                    raise value
                else:
                    result: _Result = value
                    return result
        except EOFError:
            process.join()
            raise LpeError(
                f"{name}: its process ended with exit code {process.exitcode}, perhaps for lack of memory; run the "
                "same again, it goes on where it stopped (in a script, under `if __name__ == "
                '"__main__":`)'
            ) from None
        finally:
            self.status(name, "")
            receiver.close()
            process.join()


@contextlib.contextmanager
def side_by_side(
    calls: Mapping[str, tuple[_Function[_Result], tuple[Any, ...]]], processes: int, progress: Progress
) -> Iterator[SideBySide[_Result]]:
    """Starts functions; those that still run at the end of the block are ended. See `SideBySide`."""
    running = SideBySide(calls, processes, progress)
    try:
        yield running
    finally:
        running.close()


def _run(connection: Connection, function: _Function[Any], arguments: tuple[Any, ...]) -> None:
    """The whole life of a process."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to all processes of a terminal: the parent decides
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.update({name: value for name, value in _SHARED_GPU.items() if name not in os.environ})
    warnings.simplefilter("ignore")  # libraries' chatter, for developers
    try:
        message = ("result", function(*arguments, Listener(connection)))
    except LpeError as error:
        message = ("error", error)
    connection.send(message)


def _end_with(parent: BaseProcess) -> None:
    """A parent that was killed leaves no orphans."""
    parent.join()
    os._exit(1)
