"""Locks in object stores: an object that says who holds it until when, and that its holder renews.

Who dies stops renewing, and is followed when the lease has run out. An object is created, replaced and deleted
only as the one that was looked at (S3: If-Match and If-None-Match; Google: generations), so that of two who
try at once one succeeds. The times are those of the machines' clocks: they may differ by less than the lease.
A holder that was suspended for longer than that may find another in its place; its own commit is whole all the
same, since both write the same bytes to the same names or, where they are at odds, the plan of the job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import getpass
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

from pipeline import remote
from transforms.errors import DataError

LEASE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Found:
    """A lock object as it was found: its content, and the mark that tells this state of it from others."""

    content: bytes
    mark: str


class Store(Protocol):
    """One object, changed only if it is as it was last seen. All raise what `remote.retrying` understands."""

    def read(self) -> Found | None:
        """The object, or None if there is none."""

    def put(self, content: bytes, before: Found | None) -> str | None:
        """Writes it if it is still as `before` (None: not there); its new mark, or None if it was not."""

    def delete(self, before: Found) -> None:
        """Deletes it if it is still as `before`."""


def take(path: str) -> contextlib.AbstractContextManager[None] | None:
    """The lease of the lock object at `path`, or None if somebody holds it."""
    return take_from(_store(path), path, LEASE_SECONDS)


def take_from(store: Store, path: str, seconds: float) -> contextlib.AbstractContextManager[None] | None:
    """As `take`, from any store and for any length of a lease."""
    owner = uuid.uuid4().hex
    found = remote.retrying(path, store.read)
    if found is not None and _holds(found.content, owner):
        return None
    content = _content(owner, seconds)
    mark = remote.retrying(path, lambda: store.put(content, found))
    if mark is None:
        # A try whose answer was lost may have succeeded.
        now = remote.retrying(path, store.read)
        if now is None or _owner(now.content) != owner:
            return None
        mark = now.mark
    return _renewing(store, path, Found(content, mark), owner, seconds)


@contextlib.contextmanager
def _renewing(store: Store, path: str, lease: Found, owner: str, seconds: float) -> Iterator[None]:
    over = threading.Event()
    state = [lease]

    def renew() -> None:
        while not over.wait(seconds / 3):
            with contextlib.suppress(
                DataError, FileNotFoundError
            ):  # the next time may do, and the last say is below
                content = _content(owner, seconds)
                mark = remote.retrying(path, lambda content=content: store.put(content, state[0]))  # type: ignore[misc]
                if mark is not None:
                    state[0] = Found(content, mark)

    renewal = threading.Thread(target=renew, daemon=True)
    renewal.start()
    try:
        yield
    finally:
        over.set()
        renewal.join()
        with contextlib.suppress(DataError, FileNotFoundError):  # it runs out by itself
            remote.retrying(path, lambda: store.delete(state[0]))


def _content(owner: str, seconds: float) -> bytes:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    who = f"{getpass.getuser()} on {socket.gethostname()}"
    return json.dumps({"owner": owner, "who": who, "until": until.isoformat()}).encode()


def _owner(content: bytes) -> str:
    return str(json.loads(content)["owner"])


def _holds(content: bytes, owner: str) -> bool:
    """Whether somebody else's lease still runs; what can't be read is nobody's."""
    try:
        value = json.loads(content)
        until = datetime.datetime.fromisoformat(value["until"])
        return value["owner"] != owner and until > datetime.datetime.now(datetime.UTC)
    except (ValueError, KeyError, TypeError):
        return False


def _store(path: str) -> Store:
    scheme, _, rest = path.partition("://")
    bucket, _, key = rest.partition("/")
    remote.check_bucket(path)
    return (
        S3Object(remote.s3_client(), bucket, key)
        if scheme == "s3"
        else GcsObject(remote.gcs_client(), bucket, key)
    )


class S3Object:
    """An object of S3; its mark is its ETag."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._name = {"Bucket": bucket, "Key": key}

    def read(self) -> Found | None:
        import botocore.exceptions  # noqa: PLC0415  (an extra)

        try:
            answer = self._client.get_object(**self._name)
            return Found(answer["Body"].read(), answer["ETag"])
        except botocore.exceptions.ClientError as error:
            if _code(error) == 404:
                return None
            raise

    def put(self, content: bytes, before: Found | None) -> str | None:
        import botocore.exceptions  # noqa: PLC0415  (an extra)

        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before.mark}
        try:
            return str(self._client.put_object(**self._name, Body=content, **condition)["ETag"])
        except botocore.exceptions.ClientError as error:
            if _code(error) in (404, 409, 412):  # gone meanwhile, being written, changed
                return None
            raise

    def delete(self, before: Found) -> None:
        # Not every S3 service knows a conditional delete: a last look makes the gap small.
        now = self.read()
        if now is not None and now.mark == before.mark:
            self._client.delete_object(**self._name)


class GcsObject:
    """An object of Google Cloud Storage; its mark is its generation."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._blob = client.bucket(bucket).blob(key)

    def read(self) -> Found | None:
        from google.api_core import exceptions  # noqa: PLC0415  (an extra)

        try:
            self._blob.reload()
            generation = self._blob.generation
            return Found(self._blob.download_as_bytes(if_generation_match=generation), str(generation))
        except (exceptions.NotFound, exceptions.PreconditionFailed):  # gone, or replaced between the two
            return None

    def put(self, content: bytes, before: Found | None) -> str | None:
        from google.api_core import exceptions  # noqa: PLC0415  (an extra)

        try:
            generation = 0 if before is None else int(before.mark)
            self._blob.upload_from_string(content, if_generation_match=generation)
            return str(self._blob.generation)
        except exceptions.PreconditionFailed:
            return None

    def delete(self, before: Found) -> None:
        from google.api_core import exceptions  # noqa: PLC0415  (an extra)

        with contextlib.suppress(exceptions.NotFound, exceptions.PreconditionFailed):
            self._blob.delete(if_generation_match=int(before.mark))


def _code(error: Any) -> int | None:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
