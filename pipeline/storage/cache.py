"""A bounded local cache of objects at gs:// and s3://, shared by the processes of one user.

    CACHE/<key>        an object, whole; the key stands for what it must hold
    CACHE/.tmp-<key>   one that is being fetched, as large as it will be; locked by who fetches it
    CACHE/.lock        held while files come and go

A file's access time is when it was last opened; the least recently opened go when there is no room. A file is
compared with its checksum when a process first opens it, and so is trusted no longer than it stays unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from lpe.pipeline.storage import download, files
from lpe.pipeline.storage.download import Wanted
from lpe.pipeline.storage.prefetch import Prefetch
from lpe.transforms.errors import DataError, UsageError

_LOCK = ".lock"
_TEMPORARY = ".tmp-"
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PAUSE = 0.05  # seconds between looks for room, while other fetches take it
_FULL = {errno.ENOSPC, errno.EDQUOT}

_Identity = tuple[int, int, int, int]


class FileCache:
    """Objects as local files, each fetched once while there is room.

    Threads and processes may share one, and a process may end at any moment. It can be pickled, and used after a fork.

    Args:
      directory: local, of this user alone; made with mode 0700.
      most_bytes: what all files in it may take, those of other processes among them.

    Raises:
      UsageError: there can be no file in so few bytes.
      DataError: the directory belongs to another user, others may change it, or it is none.
    """

    def __init__(self, directory: str, most_bytes: int) -> None:
        if most_bytes < 1:
            raise UsageError(
                f"a cache of {most_bytes} bytes holds nothing; give it room for two shards at least"
            )
        self.directory = str(Path(directory).absolute())
        self.most_bytes = most_bytes
        self._start()
        self._prepare()

    def __reduce__(self) -> tuple[type[FileCache], tuple[str, int]]:
        return type(self), (self.directory, self.most_bytes)

    def _start(self) -> None:
        """Sets up what belongs to one process."""
        self._process = os.getpid()
        self._checked: dict[str, _Identity] = {}
        self._prefetch = Prefetch(self._warm, self.most_bytes // 2)

    def expect(self, order: Sequence[Wanted]) -> None:
        """Says which objects will be opened next, in this order: they are fetched ahead, and evicted last.

        Replaces what was said before.
        """
        self._after_fork()
        self._prefetch.expect([(_key(wanted), wanted) for wanted in order])

    def open(self, wanted: Wanted) -> BinaryIO:
        """Opens an object's local file, which stays readable until it is closed, whatever becomes of the cache.

        Raises:
          FileNotFoundError: there is no such object.
          DamagedError: it is another than is wanted, and stays so.
          DataError: it is larger than the cache, or cannot be fetched or kept; one line.
        """
        self._after_fork()
        key = _key(wanted)
        self._prefetch.wait(key)
        descriptor = self._descriptor(wanted)
        self._prefetch.opened(key)
        return cast(BinaryIO, io.BufferedReader(io.FileIO(descriptor, "rb")))

    def discard(self, wanted: Wanted) -> None:
        """Removes an object's file, for one that turned out to be damaged."""
        self._after_fork()
        with self._explained(), self._locked():
            self._path(_key(wanted)).unlink(missing_ok=True)

    def _after_fork(self) -> None:
        if self._process != os.getpid():
            self._start()

    def _warm(self, wanted: Wanted) -> None:
        os.close(self._descriptor(wanted))

    def _path(self, key: str) -> Path:
        return Path(self.directory, key)

    def _descriptor(self, wanted: Wanted) -> int:
        """An open file with the object, fetched unless it is there."""
        if wanted.size > self.most_bytes:
            raise DataError(
                f"{wanted.path}: its {wanted.size} bytes do not fit into the cache {self.directory} of "
                f"{self.most_bytes}; give a larger --cache-bytes"
            )
        key = _key(wanted)
        with self._explained():
            while True:
                if (descriptor := self._cached(key, wanted)) is not None:
                    return descriptor
                if (descriptor := self._claim(key, wanted)) is not None:
                    return self._fetch(key, wanted, descriptor)

    def _cached(self, key: str, wanted: Wanted) -> int | None:
        """The entry's open file, unless there is none or it was damaged, which removes it."""
        path = self._path(key)
        try:
            descriptor = _open_own(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            identity = _identity(descriptor)
            if self._checked.get(key) != identity:
                if not download.holds(descriptor, wanted):
                    with self._locked():
                        if _is_at(descriptor, path):
                            path.unlink()
                    os.close(descriptor)
                    return None
                self._checked[key] = identity
            # The modification time stays: it is part of the identity.
            os.utime(descriptor, ns=(time.time_ns(), os.fstat(descriptor).st_mtime_ns))
        except BaseException:
            _close(descriptor)
            raise
        return descriptor

    def _claim(self, key: str, wanted: Wanted) -> int | None:
        """A locked temporary file with room for the object; None when it is time to look again."""
        temporary = self._path(_TEMPORARY + key)
        self._prepare()
        with self._locked():
            if self._path(key).exists():
                return None
            descriptor = _open_own(temporary, os.O_RDWR | os.O_CREAT)
            try:
                ours = _lock(descriptor)
                if ours:
                    os.ftruncate(descriptor, 0)  # a killed one's
                    if self._make_room(wanted.size):
                        os.ftruncate(descriptor, wanted.size)
                        return descriptor
                    temporary.unlink()
            except BaseException:
                _close(descriptor)
                raise
        if ours:
            _close(descriptor)
            time.sleep(_PAUSE)
        else:
            # Until the other has fetched it, or was killed.
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            finally:
                _close(descriptor)
        return None

    def _fetch(self, key: str, wanted: Wanted, descriptor: int) -> int:
        """Fetches into a claimed temporary file, which becomes the entry."""
        temporary = self._path(_TEMPORARY + key)
        try:
            download.download(wanted, descriptor)
            with self._locked():
                temporary.replace(self._path(key))
                self._checked[key] = _identity(descriptor)
        except BaseException:
            with contextlib.suppress(OSError), self._locked():
                temporary.unlink(missing_ok=True)
            _close(descriptor)
            raise
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return descriptor

    def _make_room(self, size: int) -> bool:
        """Removes what is needed least, until a file of `size` bytes fits in; whether it does."""
        coming = self._prefetch.positions()
        evictable, used = [], 0
        for item in Path(self.directory).iterdir():
            status = item.lstat()
            if item.name.startswith(_TEMPORARY):
                used += 0 if _remove_abandoned(item) else status.st_size
            elif _KEY.fullmatch(item.name):
                used += status.st_size
                # What this process will open again goes last, the latest to come first.
                position = coming.get(item.name)
                rank = (0, status.st_atime_ns) if position is None else (1, -position)
                evictable.append((rank, status.st_size, item))
        for _, freed, item in sorted(evictable):
            if used + size <= self.most_bytes:
                break
            item.unlink()
            used -= freed
        return used + size <= self.most_bytes

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = _open_own(self._path(_LOCK), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            _close(descriptor)

    def _prepare(self) -> None:
        """Makes the directory, or checks that it is this user's alone."""
        directory = Path(self.directory)
        with self._explained():
            files.make_directory(str(directory.parent))
            directory.mkdir(mode=0o700, exist_ok=True)
            status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise DataError(f"{directory}: not a directory but a link or a file; choose another --cache")
        _check_own(directory, status)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Has errors of a full disk say so in one line."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DataError(
                f"{self.directory}: no space left on the disk of this cache; free some space there, give a smaller "
                "--cache-bytes, or another --cache"
            ) from error


def _key(wanted: Wanted) -> str:
    """The name of an entry: of equal content under one file name, whatever dataset it is in."""
    state = (
        [files.base_name(wanted.path), wanted.size, wanted.checksum]
        if wanted.checksum is not None
        else [wanted.path, wanted.size, "tag", wanted.tag]
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _open_own(path: Path, flags: int) -> int:
    """Opens a regular file of this user's, which no other can change; no link. Raises DataError for another."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise DataError(f"{path}: a link stands in the cache; delete it") from error
    status = os.fstat(descriptor)
    try:
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a regular file; delete it")
        _check_own(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_own(path: Path, status: os.stat_result) -> None:
    """Raises DataError for a file or directory of the cache that is another user's, or that others may change."""
    if status.st_uid != os.geteuid():
        raise DataError(
            f"{path}: belongs to another user (uid {status.st_uid}), who could change what is trained on; choose "
            "another --cache"
        )
    if status.st_mode & 0o022:
        raise DataError(
            f"{path}: others than its owner may change it, and so what is trained on; choose another --cache, or "
            f"delete what is there and run chmod 700 {path}"
        )


def _identity(descriptor: int) -> _Identity:
    """What a file that nobody has written to keeps."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Locks an open file unless another has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(descriptor: int) -> None:
    """Closes a file that may be locked: a forked process has it open too, and would hold the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _remove_abandoned(temporary: Path) -> bool:
    """Removes a temporary file whose writer was killed; whether it was."""
    descriptor = _open_own(temporary, os.O_RDWR)
    try:
        if not _lock(descriptor):
            return False
        temporary.unlink()
        return True
    finally:
        # Its lock, if it is another's, stays: this one was opened anew.
        os.close(descriptor)
