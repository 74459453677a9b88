"""Objects at gs:// and s3://, read and written through Beam: every operation is whole, and may be tried again.

What can pass (a server error, a broken connection, a stalled read) is tried again with growing pauses; what
can't (no permission, no bucket, no credentials) is one line at once. Credentials come from the environment or
the machine's role, never from pipeline options, which travel with a job.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import errno
import functools
import importlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.extras import install_command

_TRIES = 6
_FIRST_PAUSE = 0.5  # seconds; doubled each time, and each shortened at random by up to a half
_CHUNK = 1 << 22
_THREADS = 8

_MODULES = {"gs": "lpe.pipeline.storage.gcs", "s3": "lpe.pipeline.storage.s3"}
_EXTRAS = {"gs": "gcp", "s3": "aws"}
_MISSING, _FORBIDDEN = {404}, {401, 403}
_PASSING = {408, 429}

T = TypeVar("T")


class RefusedError(DataError):
    """The service does not let this account do that."""


def exists(path: str) -> bool:
    """Whether there is an object of this name."""
    return retrying(path, lambda: bool(_files(path).exists(path)))


def list_objects(prefix: str) -> list[str]:
    """The paths of all objects whose path begins with `prefix`, which ends with a slash, sorted."""
    return list(list_sizes(prefix))


def list_sizes(prefix: str) -> dict[str, int]:
    """The size in bytes of each object whose path begins with `prefix`, which ends with a slash, sorted by path."""
    sizes = retrying(prefix, lambda: sorted(_files(prefix).list_files(prefix)))
    return {path: int(size) for path, size in sizes}


def read_range(path: str, offset: int, size: int) -> bytes:
    """Up to `size` bytes of an object from `offset` on, in one request. Raises FileNotFoundError."""
    module = service(path)
    if size == 0:
        return b""
    return retrying(path, lambda: bytes(module.read_range(*split_path(path), offset, size)))


def modified(path: str) -> datetime.datetime:
    """When an object was last written, by the service's clock. Raises FileNotFoundError."""
    module = service(path)
    when: datetime.datetime = retrying(path, lambda: module.modified(*split_path(path)))
    return when


def state(path: str) -> tuple[int, str]:
    """The size of an object and a tag that it keeps until it is replaced. Raises FileNotFoundError."""
    module = service(path)
    size, tag = retrying(path, lambda: module.state(*split_path(path)))
    return int(size), str(tag)


def read(path: str) -> BinaryIO:
    """Opens an object for reading, mostly in order. Raises FileNotFoundError."""
    return _Reader(path)  # type: ignore[return-value]


def write(path: str, content: BinaryIO) -> None:
    """Writes an object from a local file, from its start; the object appears when all of it is there."""

    def upload() -> None:
        if content.seek(0, os.SEEK_END) == 0 and path.startswith("s3://"):
            service(path).write_empty(*split_path(path))
            return
        content.seek(0)
        with _files(path).open(path, "w") as file:
            while piece := content.read(_CHUNK):
                file.write(piece)

    retrying(path, upload)


def copy(pairs: list[tuple[str, str]]) -> None:
    """Copies objects, given as pairs (from, to), some at a time; in no order."""

    def one(pair: tuple[str, str]) -> None:
        retrying(pair[1], lambda: _files(pair[1]).copy(*pair))

    _at_once(one, pairs)


def delete(paths: list[str]) -> None:
    """Deletes objects; those that are gone already do not matter."""

    def one(path: str) -> None:
        retrying(path, lambda: _files(path).delete(path))

    _at_once(one, paths)


class _Reader:
    """Reads an object on from where a broken connection left off."""

    closed = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._file: BinaryIO | None = retrying(path, lambda: _files(path).open(path))

    def read(self, size: int = -1) -> bytes:
        return retrying(self._path, lambda: self._read(size))

    def _read(self, size: int) -> bytes:
        try:
            if self._file is None:
                self._file = _files(self._path).open(self._path)
                self._file.seek(self._at)
            data = self._file.read(size)
        except BaseException:
            self._file = None
            raise
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return retrying(self._path, lambda: self._seek(offset, whence))

    def tell(self) -> int:
        return self._at

    def _seek(self, offset: int, whence: int) -> int:
        try:
            if self._file is None:
                self._file = _files(self._path).open(self._path)
                self._file.seek(self._at)
            self._file.seek(offset, whence)
            self._at = self._file.tell()
        except BaseException:
            self._file = None
            raise
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.closed = True
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def retrying(path: str, operation: Callable[[], T]) -> T:
    """Does an operation that may be repeated, and does it again, up to six times, after a failure that can pass.

    Args:
      path: what it is about, for errors.
      operation: asks the service once.

    Raises:
      FileNotFoundError: no such object or bucket.
      RefusedError: no permission.
      DataError: no credentials, or it failed too often; one line.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            return operation()
        except (DataError, UsageError, FileNotFoundError, ImportError):
            raise
        except Exception as error:
            code = _status(error)
            if code in _MISSING:
                raise FileNotFoundError(errno.ENOENT, "no such object or bucket", path) from error
            if code in _FORBIDDEN:
                raise RefusedError(
                    f"{path}: the service refuses access ({code}); give this account the right to read and write there"
                ) from error
            if (code is not None and code < 500 and code not in _PASSING) or attempt == _TRIES:
                raise DataError(
                    f"{path}: {_reason(error)}; when the service can be reached, run the same command again: finished "
                    "shards are kept"
                ) from error
            time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error of any of the clients; None for a broken connection."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        from_response = (
            response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # botocore's
            if isinstance(response, dict)
            else getattr(response, "status_code", None)
        )
        for code in (getattr(link, "code", None), getattr(link, "status_code", None), from_response):
            if isinstance(code, int):
                return int(code)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those behind it, Beam's per-path ones included."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        link = todo.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            details = getattr(link, "exception_details", None)
            todo += [
                *(details.values() if isinstance(details, dict) else ()),
                link.__cause__,
                link.__context__,
            ]


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _at_once(work: Callable[[Any], None], items: list[Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, items))


def service(path: str) -> Any:
    """The module that speaks to the path's service, `s3` or `gcs`, when the bucket has been found to be usable.

    Raises:
      UsageError: an unknown scheme, or the extra for it is not installed.
      DataError, FileNotFoundError: as `retrying`.
    """
    scheme = path.partition("://")[0]
    if scheme not in _MODULES:
        raise UsageError(f"{path}: files are local, or at {' or '.join(f'{known}://' for known in _MODULES)}")
    _ask_for_bucket(scheme, split_path(path)[0])
    return _load(scheme)


def split_path(path: str) -> tuple[str, str]:
    """The bucket of a path and the object's name in it."""
    bucket, _, name = path.partition("://")[2].partition("/")
    return bucket, name


_thread = threading.local()  # Beam's access keeps the stream that it is reading


def _files(path: str) -> Any:
    """Beam's access to the path's service, made once a thread, when the bucket has been found to be usable.

    (Beam's filesystems make a client for every call, which takes 0.1 seconds.)
    """
    module = service(path)
    if not hasattr(_thread, module.__name__):
        setattr(_thread, module.__name__, module.files())
    return getattr(_thread, module.__name__)


@functools.cache
def _ask_for_bucket(scheme: str, bucket: str) -> None:
    """Asks the service for one object of the bucket, once in a process.

    Beam tries for ten minutes where there are no credentials or no network; this says so in seconds.
    """
    place = f"{scheme}://{bucket}"
    try:
        module = _load(scheme)
    except ImportError as error:
        extra = _EXTRAS[scheme]
        raise UsageError(f"{place}: needs the extra {extra}: {install_command(extra)}") from error
    retrying(place, lambda: module.ask(bucket))


def _load(scheme: str) -> Any:
    return importlib.import_module(_MODULES[scheme])


def _forget_clients() -> None:
    """Has a forked process make clients of its own: two on one connection get each other's answers."""
    _thread.__dict__.clear()
    for name in _MODULES.values():
        if (module := sys.modules.get(name)) is not None:
            module.forget_clients()


os.register_at_fork(after_in_child=_forget_clients)
