"""Objects at gs:// and s3://: every operation is whole, and may be tried again.

What can pass (a server error, a broken connection, a stalled read) is tried again with growing pauses; what
can't (no permission, no bucket, no credentials) is one line at once. Credentials come from the environment or
the machine's role, never from pipeline options, which travel with a job.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import errno
import functools
import importlib
import io
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.extras import install_command

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TRIES = 6
_FIRST_PAUSE = 0.5  # seconds; doubled each time, and each shortened at random by up to a half
_READ_AHEAD = 1 << 24
_THREADS = 8

_MODULES = {"gs": "lpe.pipeline.storage.gcs", "s3": "lpe.pipeline.storage.s3"}
_EXTRAS = {"gs": "gcp", "s3": "aws"}
_MISSING, _FORBIDDEN, _REPLACED = {404}, {401, 403}, {412}
_PASSING = {408, 429}

T = TypeVar("T")


class RefusedError(DataError):
    """The service does not let this account do that."""


def exists(path: str) -> bool:
    """Whether there is an object of this name. Raises FileNotFoundError where there is no such bucket."""
    service(path)
    try:
        state(path)
    except FileNotFoundError:
        return False
    return True


def list_objects(prefix: str) -> list[str]:
    """The paths of all objects whose path begins with `prefix`, which ends with a slash, sorted."""
    return list(list_sizes(prefix))


def list_sizes(prefix: str) -> dict[str, int]:
    """The size in bytes of each object whose path begins with `prefix`, which ends with a slash, sorted by path."""
    module = service(prefix)
    bucket, start = split_path(prefix)
    root = prefix.removesuffix(start)
    sizes: dict[str, int] = {}
    token = None
    while True:
        page, token = retrying(prefix, functools.partial(module.list_page, bucket, start, token))
        sizes.update({root + name: size for name, size in page})
        if token is None:
            return dict(sorted(sizes.items()))


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
    raw = _Reader(path)
    return cast(BinaryIO, io.BufferedReader(raw, max(1, min(raw.size, _READ_AHEAD))))


def write(path: str, content: BinaryIO) -> None:
    """Writes an object from a local file, from its start; the object appears when all of it is there."""
    module = service(path)
    size = content.seek(0, os.SEEK_END)

    def upload() -> None:
        content.seek(0)
        module.write(*split_path(path), content, size)

    retrying(path, upload)


def copy(pairs: list[tuple[str, str]]) -> None:
    """Copies objects within a service, given as pairs (from, to), some at a time; in no order."""

    def one(pair: tuple[str, str]) -> None:
        module = service(pair[1])
        retrying(pair[1], lambda: module.copy(split_path(pair[0]), split_path(pair[1])))

    _at_once(one, pairs)


def delete(paths: list[str]) -> None:
    """Deletes objects; those that are gone already do not matter."""

    def one(path: str) -> None:
        module = service(path)
        with contextlib.suppress(FileNotFoundError):
            retrying(path, lambda: module.delete(*split_path(path)))

    _at_once(one, paths)


class _Reader(io.RawIOBase):
    """An object as it was when it was opened, read range by range: a broken one is asked for again."""

    def __init__(self, path: str) -> None:
        self._module = service(path)
        self._path = path
        self._at = 0
        self.size, self._tag = state(path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + (0, self._at, self.size)[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "a place before the start", self._path)
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._next(_READ_AHEAD), b""))

    def _next(self, most: int) -> bytes:
        size = min(most, self.size - self._at)
        if size <= 0:
            return b""

        def fetch() -> bytes:
            data = bytes(self._module.read_range(*split_path(self._path), self._at, size, self._tag))
            if len(data) != size:
                raise ConnectionError(f"{len(data)} of {size} bytes came")
            return data

        data = retrying(self._path, fetch)
        self._at += size
        return data


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
            if code in _REPLACED:
                raise DataError(
                    f"{path}: was replaced while it was read; run the same command again"
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
    """An error and those behind it."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        link = todo.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            todo += [link.__cause__, link.__context__]


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


@functools.cache
def _ask_for_bucket(scheme: str, bucket: str) -> None:
    """Asks the service for one object of the bucket, once in a process: what is amiss is said before work begins."""
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
    for name in _MODULES.values():
        if (module := sys.modules.get(name)) is not None:
            module.forget_clients()


os.register_at_fork(after_in_child=_forget_clients)
