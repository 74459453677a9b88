"""Files at a path: the local disk directly, anything with a scheme (gs://, s3://) through `objects`.

A file written here is either whole or absent: it appears under its name only when it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from lpe.pipeline.storage import objects
from lpe.transforms.errors import DataError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_TEMPORARY = ".tmp-"
_SPOOLED_BYTES = 1 << 24  # larger uploads wait on the local disk


def is_remote(path: str) -> bool:
    """Whether `path` names a file system other than the local one."""
    return "://" in path


def absolute(path: str) -> str:
    """The path as it is remembered: a local one from the root on, without links."""
    return path if is_remote(path) else str(Path(path).resolve())


def join(directory: str, *names: str) -> str:
    """`directory` and the names below it, with single slashes."""
    return "/".join([directory.rstrip("/") or "/", *names]).replace("//", "/", 1 if directory == "/" else 0)


def base_name(path: str) -> str:
    """The last component of `path`."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def parent(path: str) -> str:
    """Everything before the last component of `path`."""
    trimmed = path.rstrip("/")
    return trimmed.rsplit("/", 1)[0] if "/" in trimmed else "."


def read_bytes(path: str) -> bytes:
    """The content of a file. Raises FileNotFoundError."""
    with open_read(path) as file:
        return file.read()


def open_read(path: str) -> BinaryIO:
    """Opens `path` for reading, mostly in order. Raises FileNotFoundError, or OSError for what is no regular file."""
    if not is_remote(path):
        return cast(BinaryIO, io.BufferedReader(_NamedFile(path)))
    return objects.read(path)


@contextlib.contextmanager
def open_atomic(path: str, *, private: bool = False) -> Iterator[BinaryIO]:
    """Opens a new file that takes the name `path` when the block ends without an error.

    On the local disk the file is a temporary neighbour, flushed and renamed at the end, and the rename is on the disk
    when this returns. What a killed writer of the same file left is removed. For an object store it is a
    spool, in memory or above 16 MB in a temporary file of this machine, uploaded at the end.

    Args:
      path: what the file will be called; an existing file is replaced.
      private: the local file can be read by its owner alone (mode 0600).

    Raises:
      OSError: the file cannot be written; its `filename` is `path`, or the folder for temporary files.
    """
    if is_remote(path):
        # Not streamed: closing an upload after an error would publish its half, and it could not be repeated.
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spool:
            with _named(tempfile.gettempdir(), unnamed_only=True):
                yield cast(BinaryIO, spool)
            objects.write(path, cast(BinaryIO, spool))
        return
    target = Path(path)
    make_directory(str(target.parent))
    with _named(path):
        temporary, descriptor = _open_temporary(target, 0o600 if private else 0o666)
    try:
        with _NamedFile(descriptor, "wb", name=path) as raw:
            local = io.BufferedWriter(raw)
            yield cast(BinaryIO, local)
            with _named(path):
                local.flush()
                os.fsync(descriptor)
                # While it is locked: afterwards it could be taken for what a killed writer left.
                temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the error before says what is wrong; the next writer removes it
            temporary.unlink()
        raise
    sync_directory(target.parent)


class _NamedFile(io.FileIO):
    """A regular file whose failed reads and writes name it, as a failed open does.

    Args:
      file: a path, or the descriptor of an open file.
      mode: as for `open`.
      name: what errors call it, if not `file`.
    """

    def __init__(self, file: str | int, mode: str = "rb", *, name: str | None = None) -> None:
        super().__init__(file, mode, opener=_open_regular if isinstance(file, str) else None)
        self._path = name or str(file)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _named(self._path):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _named(self._path):
            return super().readall()

    def write(self, data: ReadableBuffer, /) -> int:
        with _named(self._path):
            return super().write(data)


def _open_regular(path: str, flags: int) -> int:
    """Opens a file: a named pipe, which another user may have put in its place, would have us wait for ever."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode) and not stat.S_ISDIR(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


@contextlib.contextmanager
def _named(path: str, *, unnamed_only: bool = False) -> Iterator[None]:
    """Has an OSError that leaves the block name `path`: a failed write names no file, others a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (unnamed_only and error.filename is not None):
            raise
        raise OSError(error.errno, error.strerror, path) from error


def _open_temporary(target: Path, mode: int) -> tuple[Path, int]:
    """Makes a temporary file beside `target`: its path, and its descriptor, which holds a lock on it.

    The lock tells a writer at work from a killed one, whose file is removed. The file is always a new one: what
    another user put there, or a link, is never written to.
    """
    number = 0
    while True:
        temporary = target.with_name(f"{_TEMPORARY}{number}-{target.name}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            if not _remove_abandoned(temporary):
                number += 1
            continue
        if _lock(descriptor, temporary) is not False:
            return temporary, descriptor
        os.close(descriptor)  # another writer took it for a killed one's before it was locked


def _remove_abandoned(temporary: Path) -> bool:
    """Removes a temporary file whose writer was killed. Returns whether its name is free now."""
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not _lock(descriptor, temporary):
            return False
        temporary.unlink()
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool | None:
    """Locks an open file.

    Returns:
      Whether it is ours now, and still the one at `path`; None on a file system without locks, where what killed
      writers leave cannot be told from files that are being written.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:
        return None


def make_directory(path: str) -> None:
    """Makes a local directory, and those above it, unless it is there; it is on the disk when this returns."""
    directory = Path(path)
    if directory.is_dir():
        return
    make_directory(str(directory.parent))
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Writes a directory's entries to the disk: syncing a file brings its content there and not its name."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # names may be added to it, and not be listed
    try:
        with _named(str(directory)):
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of a file system without such a thing
            raise
    finally:
        os.close(descriptor)


def write_atomic(path: str, data: bytes, *, private: bool = False) -> None:
    """Writes a small file in one piece; see `open_atomic`."""
    with open_atomic(path, private=private) as file:
        file.write(data)


def exists(path: str) -> bool:
    """Whether a file (or, locally, a directory) of this name exists."""
    return objects.exists(path) if is_remote(path) else Path(path).exists()


def list_names(directory: str) -> list[str]:
    """Names directly below `directory`, sorted; empty where there is no such directory."""
    if not is_remote(directory):
        place = Path(directory)
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
    prefix = directory.rstrip("/") + "/"
    return sorted({path[len(prefix) :].split("/", 1)[0] for path in objects.list_objects(prefix)})


def delete(path: str) -> None:
    """Deletes a file or a whole directory, for good when this returns; nothing happens where there is none."""
    if not is_remote(path):
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            try:
                Path(path).unlink()
            except FileNotFoundError:
                return
        sync_directory(Path(path).parent)
    else:
        objects.delete([*objects.list_objects(path.rstrip("/") + "/"), *([path] if exists(path) else [])])


def publish_directory(source: str, target: str, *, last: str) -> None:
    """Moves a complete directory to its final place.

    On the local disk that is one step. Elsewhere the files are copied, and `last` after all others, so
    that its presence says that the rest is there; what a kill leaves half copied is copied again.

    Args:
      source: a directory that nobody writes to any more.
      target: where it goes; on the local disk, the same file system. What is there without `last` is replaced.
      last: the file whose presence says that the directory is whole.
    """
    if not is_remote(target):
        # A target without its last file is the rest of a publication that was cut off.
        if Path(target).is_dir() and not exists(join(target, last)):
            shutil.rmtree(target)
        _move(source, target)
        return
    copies = objects.list_objects(source.rstrip("/") + "/")
    pairs = [(path, join(target, path[len(source.rstrip("/")) + 1 :])) for path in copies]
    objects.copy([pair for pair in pairs if pair[1] != join(target, last)])
    objects.copy([pair for pair in pairs if pair[1] == join(target, last)])
    objects.delete(copies)


def withdraw_directory(directory: str, *, last: str, aside: str) -> None:
    """Deletes a published directory, which is gone for readers at once; may be called again after a kill.

    Args:
      directory: what is deleted.
      last: the file whose presence says that the directory is whole; in an object store it goes first.
      aside: a directory on the same local disk, made if need be, where readers do not look: the directory is moved
        there before it is deleted.
    """
    if not is_remote(directory):
        make_directory(aside)
        moved = join(aside, f"{base_name(directory)}-{uuid.uuid4().hex[:8]}")
        _move(directory, moved)
        delete(moved)
        return
    delete(join(directory, last))
    delete(directory)


def _move(source: str, target: str) -> None:
    """Renames a local directory; it has its new name on the disk when this returns."""
    with _named(target):
        Path(source).rename(target)
    sync_directory(Path(target).parent)
    sync_directory(Path(source).parent)


def delete_temporary_files(directory: str, target: str | None = None) -> None:
    """Removes what killed writers left in a local `directory`; elsewhere they leave nothing.

    Args:
      directory: nobody may be writing what is removed.
      target: remove only what was to become the file of this name.
    """
    if is_remote(directory):
        return
    for name in list_names(directory):
        if name.startswith(_TEMPORARY) and target in (None, name.removeprefix(_TEMPORARY).partition("-")[2]):
            delete(join(directory, name))


def explain(error: OSError) -> DataError:
    """The error, of one line with a remedy, that a person should see for a failed file operation."""
    remedies = {
        errno.ENOENT: "check the path",
        errno.ENOSPC: "free some space and run the same command again: finished shards are kept",
        errno.EDQUOT: "free some space and run the same command again: finished shards are kept",
        errno.EACCES: "make it accessible or choose another place",
        errno.EPERM: "make it accessible or choose another place",
        errno.EROFS: "the file system is read-only: choose another place",
        errno.EEXIST: "a file stands where a directory is needed: choose another place",
        errno.ENOTDIR: "a file stands where a directory is needed: choose another place",
        errno.EISDIR: "this is a directory: name a file",
        errno.ELOOP: "a link stands where lpe makes a file of its own: remove it or choose another place",
    }
    reason = error.strerror or str(error)
    where = f"{error.filename}: " if error.filename else ""
    remedy = remedies.get(error.errno or 0, "run the same command again when this is mended")
    return DataError(f"{where}{reason}; {remedy}")
