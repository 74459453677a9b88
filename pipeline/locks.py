"""Locks: one job at a home, one change at a key store; on the local disk and in object stores."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline import leases, storage
from transforms.errors import BusyError

_PAUSE, _REMOTE_PAUSE = 0.05, 0.5  # seconds between two looks at a lock that somebody holds


@contextlib.contextmanager
def held(path: str, what: str, *, wait: float = 0.0, remove: bool = False) -> Iterator[None]:
    """Holds a lock while the block lasts.

    On the local disk it is the operating system's lock on a file (mode 0600), which ends with the process
    that holds it. In an object store it is an object with a lease; see `leases`.

    Args:
      path: the lock's own file or object.
      what: what it guards, for the message.
      wait: how long to wait for another holder, in seconds.
      remove: remove the file at the end, so that nothing is left behind.

    Raises:
      BusyError: somebody else holds it.
    """
    end = time.monotonic() + wait
    here = not storage.is_remote(path)
    take = _take_file if here else leases.take
    while (taken := take(path)) is None:
        if time.monotonic() >= end:
            raise BusyError(f"{what}: another job is writing here; wait for it to end")
        time.sleep(_PAUSE if here else _REMOTE_PAUSE)
    with taken:
        try:
            yield
        finally:
            # A file's lock goes with its descriptor, not with its name: removed first, it is never found free.
            if remove and here:
                Path(path).unlink(missing_ok=True)


def _take_file(path: str) -> contextlib.AbstractContextManager[None] | None:
    """The lock of a file, or None if another process has it."""
    place = Path(path)
    while True:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # its folder was tidied away in between
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The holder before may have removed the file after it was opened here.
        if place.exists() and os.fstat(descriptor).st_ino == place.stat().st_ino:
            return _closing(descriptor)
        os.close(descriptor)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
