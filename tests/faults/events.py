# ruff: noqa: PTH100, PTH115, PTH117, PTH118  (paths as the system call gets them)
"""File events of this process, counted by an audit hook; at a chosen one it dies, or the system call fails.

A file event is a change: a file opened for writing, renamed, linked, truncated, synced or removed, a directory made or
removed. Reads count on request. Only paths below the plan's directories count, so that importing a library does not.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import sys
import threading
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# By audit event: where among its arguments the path is, and the descriptor of the directory that it is relative to.
_CHANGES = {
    "os.rename": (1, 3),
    "os.remove": (0, 1),
    "os.mkdir": (0, 2),
    "os.rmdir": (0, 1),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.truncate": (0, None),
    "os.chmod": (0, 2),
}
_GROWING = {"write", "mkdir", "fsync", "link", "symlink"}
"""The events that a full disk refuses."""


def refuses(error: int, event: str) -> bool:
    """Whether a disk in this state, an errno, refuses an event."""
    return event in _GROWING if error == errno.ENOSPC else event != "read" or error == errno.EIO


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is counted, and what happens when.

    Attributes:
      directories: events on paths below these count.
      log: gets a line for each event, before it takes place.
      at: the number, from 1, of the event at which it happens; None for never.
      error: the system call fails with this errno; None to kill the whole process group.
      lasting: the calls after that one fail too.
      reads: files opened for reading count too.
    """

    directories: tuple[str, ...]
    log: str
    at: int | None = None
    error: int | None = None
    lasting: bool = False
    reads: bool = False


def install(plan: Plan) -> None:
    """Counts this process's events from now on; there is no way back."""
    log = os.open(plan.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lock = threading.Lock()
    within = threading.local()  # what is done here is no event
    count = 0

    def happen(event: str, path: str) -> None:
        nonlocal count
        if not path.startswith(plan.directories):
            return
        with lock:
            count += 1
            number = count
        os.write(log, f"{event} {path}\n".encode())
        if plan.at is None or number < plan.at or (number > plan.at and not plan.lasting):
            return
        if plan.error is None:
            os.killpg(0, signal.SIGKILL)
        elif refuses(plan.error, event):
            raise OSError(plan.error, os.strerror(plan.error), path)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES and event != "open":
            return
        if getattr(within, "active", False):
            return
        within.active = True
        try:
            if event == "open":
                path, _, flags = arguments
                writing = bool(flags & _WRITING)
                if isinstance(path, str | bytes | os.PathLike) and (writing or plan.reads):
                    happen("write" if writing else "read", _absolute(path, None))
            else:
                at, directory = _CHANGES[event]
                if not isinstance(arguments[at], int):
                    path = _absolute(arguments[at], arguments[directory] if directory is not None else None)
                    if event != "os.mkdir" or not os.path.lexists(path):  # mkdir is how many look for one
                        happen(event.removeprefix("os."), path)
        finally:
            within.active = False

    sync = os.fsync

    def fsync(descriptor: int) -> None:
        happen("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    os.fsync = fsync
    sys.addaudithook(hook)


def _absolute(path: str | bytes | os.PathLike[Any], directory: int | None) -> str:
    text = os.fsdecode(path)
    if directory is not None and directory >= 0 and not os.path.isabs(text):
        return os.path.join(os.readlink(f"/proc/self/fd/{directory}"), text)
    return os.path.abspath(text)
