"""Objects at gs:// and s3://, as Beam reads and writes them: every operation is whole, and may be tried again.

What can pass (a server error, a broken connection, a stalled read) is tried again with growing pauses; what
can't (no permission, no bucket, no credentials) is one line at once. Credentials come from the environment or
the machine's role, never from pipeline options, which travel with a job.
"""

from __future__ import annotations

import concurrent.futures
import copy as copying
import errno
import functools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from lpe.transforms.errors import DataError, UsageError

_TRIES = 6
_FIRST_PAUSE = 0.5  # seconds; doubled each time, and each shortened at random by up to a half
_CHUNK = 1 << 22
_THREADS = 8

_EXTRAS = {"gs": "gcp", "s3": "aws"}
_MISSING, _FORBIDDEN = {404}, {401, 403}
_PASSING = {408, 429}

T = TypeVar("T")


def exists(path: str) -> bool:
    """Whether there is an object of this name."""
    return retrying(path, lambda: bool(_service(path).exists(path)))


def list_objects(prefix: str) -> list[str]:
    """The paths of all objects whose path begins with `prefix`, which ends with a slash."""
    return list(list_sizes(prefix))


def list_sizes(prefix: str) -> dict[str, int]:
    """The size of each object whose path begins with `prefix`, which ends with a slash, sorted by path."""
    found = retrying(prefix, lambda: sorted(_service(prefix).list_files(prefix)))
    return {path: int(size) for path, size in found}


def read_range(path: str, offset: int, size: int) -> bytes:
    """Up to `size` bytes of an object from `offset` on, in one request. Raises FileNotFoundError."""
    scheme = check_bucket(path)
    if size == 0:
        return b""

    def fetch() -> bytes:
        bucket, _, name = path.partition("://")[2].partition("/")
        if scheme == "s3":
            part = f"bytes={offset}-{offset + size - 1}"
            return bytes(_range_client(scheme).get_object(Bucket=bucket, Key=name, Range=part)["Body"].read())
        blob = _range_client(scheme).bucket(bucket).blob(name)
        return bytes(blob.download_as_bytes(start=offset, end=offset + size - 1, timeout=20, retry=None))

    return retrying(path, fetch)


def read(path: str) -> BinaryIO:
    """Opens an object for sequential reading. Raises FileNotFoundError."""
    return _Reader(path)  # type: ignore[return-value]


def write(path: str, content: BinaryIO) -> None:
    """Writes an object from a local file, from its start; the object appears when all of it is there."""

    def upload() -> None:
        if content.seek(0, os.SEEK_END) == 0 and path.startswith("s3://"):
            # Beam's upload to S3 has parts, of which there must be one.
            bucket, _, key = path.removeprefix("s3://").partition("/")
            s3_client().put_object(Bucket=bucket, Key=key, Body=b"")
            return
        content.seek(0)
        with _service(path).open(path, "w") as file:
            while piece := content.read(_CHUNK):
                file.write(piece)

    retrying(path, upload)


def copy(pairs: list[tuple[str, str]]) -> None:
    """Copies objects, (from, to) each, some at a time."""

    def one(pair: tuple[str, str]) -> None:
        retrying(pair[1], lambda: _service(pair[1]).copy(*pair))

    _at_once(one, pairs)


def delete(paths: list[str]) -> None:
    """Deletes objects; those that are gone already do not matter."""

    def one(path: str) -> None:
        retrying(path, lambda: _service(path).delete(path))

    _at_once(one, paths)


class _Reader:
    """Reads an object on from where a broken connection left off."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._file: BinaryIO | None = retrying(path, lambda: _service(path).open(path))

    def read(self, size: int = -1) -> bytes:
        return retrying(self._path, lambda: self._read(size))

    def _read(self, size: int) -> bytes:
        try:
            if self._file is None:
                self._file = _service(self._path).open(self._path)
                self._file.seek(self._at)
            data = self._file.read(size)
        except BaseException:
            self._file = None
            raise
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def retrying(path: str, operation: Callable[[], T]) -> T:
    """Does an operation that may be repeated; tries again what can pass.

    Raises:
      FileNotFoundError: no such object or bucket.
      DataError: no permission, no credentials, or it failed too often; one line.
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
                raise DataError(
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
    for each in _chain(error):
        response = getattr(each, "response", None)
        from_response = (
            response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # botocore's
            if isinstance(response, dict)
            else getattr(response, "status_code", None)
        )
        for code in (getattr(each, "code", None), getattr(each, "status_code", None), from_response):
            if isinstance(code, int):
                return int(code)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those behind it, Beam's per-path ones included."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        each = todo.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            details = getattr(each, "exception_details", None)
            todo += [
                *(details.values() if isinstance(details, dict) else ()),
                each.__cause__,
                each.__context__,
            ]


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _at_once(work: Callable[[Any], None], items: list[Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, items))


def check_bucket(path: str) -> str:
    """The path's scheme, when its bucket has been found to be usable.

    Raises:
      UsageError: an unknown scheme, or the extra for it is not installed.
      DataError, FileNotFoundError: as `retrying`.
    """
    scheme, _, rest = path.partition("://")
    if scheme not in _EXTRAS:
        raise UsageError(f"{path}: files are local, or at {' or '.join(f'{known}://' for known in _EXTRAS)}")
    _ask_for_bucket(scheme, rest.partition("/")[0])
    return scheme


_services = threading.local()  # the clients keep the stream that they are reading


def _service(path: str) -> Any:
    """Beam's access to the service, made once a thread, when the path's bucket has been found to be usable.

    (Beam's filesystems make a client for every call, which takes 0.1 seconds.)
    """
    scheme = check_bucket(path)
    if not hasattr(_services, scheme):
        if scheme == "s3":
            from apache_beam.io.aws.s3io import S3IO  # noqa: PLC0415  (slow, remote paths only)

            # Each thread has its own stream, and all share Amazon's client, which takes half a second to make.
            _services.s3 = S3IO(client=copying.copy(_beam_s3_client()))
        else:
            from apache_beam.io.gcp.gcsio import GcsIO  # noqa: PLC0415
            from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415

            _services.gs = GcsIO(pipeline_options=PipelineOptions([]))
    return getattr(_services, scheme)


@functools.cache
def _beam_s3_client() -> Any:
    from apache_beam.io.aws.clients.s3.boto3_client import Client  # noqa: PLC0415  (an extra)
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415

    return Client(PipelineOptions([]))


@functools.cache
def _range_client(scheme: str) -> Any:
    return s3_client() if scheme == "s3" else gcs_client()


@functools.cache
def _ask_for_bucket(scheme: str, bucket: str) -> None:
    """Asks the service for one object of the bucket, once in a process.

    Beam tries for ten minutes where there are no credentials or no network; this says so in seconds.
    """
    place = f"{scheme}://{bucket}"
    try:
        ask = _ask_s3 if scheme == "s3" else _ask_gcs
        retrying(place, lambda: ask(bucket))
    except ImportError as error:
        extra = _EXTRAS[scheme]
        raise UsageError(
            f"{place}: needs the extra {extra}: pip install 'learnable-pixel-encryption[{extra}]'"
        ) from error


def s3_client() -> Any:
    """Amazon's own client, for what Beam's filesystem can't do; asks once and waits for seconds, not minutes."""
    import boto3  # noqa: PLC0415  (an extra)
    import botocore.config  # noqa: PLC0415

    patience = botocore.config.Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("s3", config=patience)


def gcs_client() -> Any:
    """Google's own client, for what Beam's filesystem can't do."""
    from google.cloud import storage  # type: ignore[attr-defined]  # noqa: PLC0415  (an extra)

    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return storage.Client.create_anonymous_client()
    return storage.Client(project="unused")  # buckets have their own


def _ask_s3(bucket: str) -> None:
    import botocore.exceptions  # noqa: PLC0415  (an extra)

    try:
        s3_client().list_objects_v2(Bucket=bucket, MaxKeys=1)
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise DataError(
            f"s3://{bucket}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give "
            "the machine a role"
        ) from error


def _ask_gcs(bucket: str) -> None:
    import google.auth.exceptions  # noqa: PLC0415  (an extra)

    try:
        next(iter(gcs_client().list_blobs(bucket, max_results=1, timeout=20, retry=None)), None)
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise DataError(
            f"gs://{bucket}: no credentials; run gcloud auth application-default login, or give the machine a "
            "service account"
        ) from error
