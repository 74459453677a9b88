"""Locks on a dataset home and a key store, local or in an object store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from lpe.pipeline.storage import files, leases
from lpe.transforms.errors import BusyError

_PAUSE = 0.05  # seconds between tries


class Lock(Protocol):
    """A lock that is held, by a process and not by a thread: any thread of the holder may call `check`."""

    def check(self) -> None:
        """Makes sure that the lock is still held; to be called just before a change shows.

        Raises:
          BusyError: it was lost, and another process may hold it.
          DataError: the service that could tell does not answer.
        """


@contextlib.contextmanager
def held(path: str, what: str, *, wait: float = 0.0, remove: bool = False) -> Iterator[Lock]:
    """Holds the lock at `path` while the block runs.

    On a local disk that is a lock of the operating system on a file of mode 0600, free as soon as its holder
    ends, however that ends. At s3:// and gs:// it is a lease (see `leases`): a killed
    holder's runs out.

    Args:
      path: the lock's file or object; directories above it are made.
      what: what is locked, for the message.
      wait: for how many seconds to try.
      remove: at release, the local file goes too (an object always does). Whoever tidies up what the lock guards
        does so within the block, and may then remove directories that became empty.

    Raises:
      BusyError: another process holds it.
      DataError, UsageError, FileNotFoundError: the service cannot be used; see `leases.leased`.
    """
    if files.is_remote(path):
        with leases.leased(path, what, wait=wait) as lease:
            yield lease
        return
    lock = _acquire(Path(path), what, time.monotonic() + wait)
    try:
        yield lock
    finally:
        lock.release(remove=remove)


class _FileLock:
    """A file, open and locked."""

    def __init__(self, path: Path, what: str, descriptor: int) -> None:
        self._path = path
        self._what = what
        self._descriptor = descriptor

    def check(self) -> None:
        """See `Lock`."""
        if not self.in_place():
            raise BusyError(
                f"{self._what}: the lock {self._path} was deleted while this job ran; run the same command again"
            )

    def in_place(self) -> bool:
        """Whether the locked file is the one that others find; not so if it was deleted after it was opened."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool) -> None:
        """Gives the lock up; with `remove`, the file goes too if it is still the one that others find."""
        try:
            # While it is still locked: afterwards, it may be the next holder's.
            if remove and self.in_place():
                self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def _acquire(path: Path, what: str, end: float) -> _FileLock:
    """Locks the file. Raises BusyError if it is still held when `time.monotonic()` is `end`."""
    while True:
        try:
            files.make_directory(str(path.parent))
            # A link that another user put there is not followed.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except (FileNotFoundError, FileExistsError):
            if any((part.is_symlink() or part.exists()) and not part.is_dir() for part in path.parents):
                raise
            continue  # the holder before is just removing the directory
        lock = _FileLock(path, what, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.release(remove=False)
            if time.monotonic() >= end:
                raise BusyError(f"{what}: another job is writing here; wait for it to end") from None
            time.sleep(_PAUSE)
            continue
        if lock.in_place():
            return lock
        lock.release(remove=False)  # the holder before has just removed the file
