"""Google Cloud Storage, through Google's own client.

Needs the extra `gcp`, and is loaded by `objects` when a path begins with gs://. Functions ask once; `objects.retrying`
asks again.
"""

from __future__ import annotations

import datetime
import functools
import os
from typing import Any, BinaryIO

import google.auth.exceptions
from google.api_core import exceptions
from google.cloud import storage  # type: ignore[attr-defined]
from google.cloud.storage.retry import DEFAULT_RETRY

from lpe.transforms.errors import DataError

_ONCE: dict[str, Any] = {"timeout": 20, "retry": None}
_PATIENTLY: dict[str, Any] = {"timeout": 60, "retry": DEFAULT_RETRY.with_timeout(60)}
_PART = 1 << 23  # of a large upload, held in memory


def client() -> Any:
    """Google's own client."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return storage.Client.create_anonymous_client()
    return storage.Client(project="unused")  # buckets have their own


def ask(bucket: str) -> None:
    """Asks for one object of the bucket. Raises DataError where there are no credentials."""
    try:
        next(iter(client().list_blobs(bucket, max_results=1, **_ONCE)), None)
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise DataError(
            f"gs://{bucket}: no credentials; run gcloud auth application-default login, or give the machine a "
            "service account"
        ) from error


def list_page(bucket: str, prefix: str, token: str | None) -> tuple[list[tuple[str, int]], str | None]:
    """The names and sizes of some objects whose names begin with `prefix`, and the token of the next page, if any."""
    found = _shared_client().list_blobs(
        bucket, prefix=prefix, page_token=token, fields="items(name,size),nextPageToken", **_ONCE
    )
    page = next(found.pages, ())
    return [(blob.name, blob.size) for blob in page], found.next_page_token


def read_range(bucket: str, name: str, offset: int, size: int, tag: str | None = None) -> bytes:
    """Up to `size` bytes of an object from `offset` on, in the state `tag` if given; `size` is not 0."""
    blob = _shared_client().bucket(bucket).blob(name)
    data = blob.download_as_bytes(
        start=offset,
        end=offset + size - 1,
        raw_download=True,
        if_generation_match=None if tag is None else int(tag),
        **_ONCE,
    )
    return bytes(data)


def modified(bucket: str, name: str) -> datetime.datetime:
    """When an object was last written, by the service's clock."""
    blob = _shared_client().bucket(bucket).blob(name)
    blob.reload(**_ONCE)
    when: datetime.datetime = blob.updated
    return when


def state(bucket: str, name: str) -> tuple[int, str]:
    """The size of an object and its generation."""
    blob = _shared_client().bucket(bucket).blob(name)
    blob.reload(**_ONCE)
    return blob.size, str(blob.generation)


def write(bucket: str, name: str, content: BinaryIO, size: int) -> None:
    """Writes an object from a file of `size` bytes, in parts if it is large."""
    blob = _shared_client().bucket(bucket).blob(name, chunk_size=_PART)
    try:
        blob.upload_from_file(content, size=size, **_PATIENTLY)
    except exceptions.NotFound as error:
        # Not the bucket, which was asked for: an upload in parts, to be begun anew.
        raise exceptions.ServiceUnavailable("the upload is lost") from error  # type: ignore[no-untyped-call]


def copy(source: tuple[str, str], target: tuple[str, str]) -> None:
    """Copies an object, given by bucket and name."""
    start, end = (_shared_client().bucket(bucket) for bucket, _ in (source, target))
    start.copy_blob(start.blob(source[1]), end, target[1], **_PATIENTLY)


def delete(bucket: str, name: str) -> None:
    """Deletes an object; an error where there is none."""
    _shared_client().bucket(bucket).delete_blob(name, **_ONCE)


class ConditionalObject:
    """An object that is read and changed by version; a tag is its generation. See `leases.ConditionalObject`."""

    def __init__(self, bucket: str, name: str) -> None:
        self._bucket = client().bucket(bucket)
        self._name = name

    def read(self) -> tuple[bytes, str] | None:
        """Content and tag; None where there is no object."""
        blob = self._bucket.get_blob(self._name, **_ONCE)
        if blob is None:
            return None
        generation = blob.generation
        try:
            return blob.download_as_bytes(if_generation_match=generation, **_ONCE), str(generation)
        except (exceptions.NotFound, exceptions.PreconditionFailed):
            return None  # gone or replaced in between

    def write(self, content: bytes, tag: str | None) -> str | None:
        """Makes the object (tag None) or replaces that version; the new tag, or None if that is not what is there."""
        blob = self._bucket.blob(self._name)
        try:
            blob.upload_from_string(content, if_generation_match=int(tag or 0), **_ONCE)
        except exceptions.PreconditionFailed:
            return None
        return str(blob.generation)

    def delete(self, tag: str) -> None:
        """Deletes that version; an error where something else is there."""
        self._bucket.blob(self._name).delete(if_generation_match=int(tag), **_ONCE)


@functools.cache
def _shared_client() -> Any:
    return client()


def forget_clients() -> None:
    """Has clients made anew when they are needed."""
    _shared_client.cache_clear()
