"""Google Cloud Storage: Beam's access to it, and Google's own client for what Beam's cannot do.

Needs the extra `gcp`, and is loaded by `objects` when a path begins with gs://. Functions ask once; `objects.retrying`
asks again.
"""

from __future__ import annotations

import datetime
import functools
import os
from typing import Any

import google.auth.exceptions
from apache_beam.io.gcp.gcsio import GcsIO
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core import exceptions
from google.cloud import storage  # type: ignore[attr-defined]

from lpe.transforms.errors import DataError

_ONCE: dict[str, Any] = {"timeout": 20, "retry": None}


def files() -> Any:
    """Beam's access to the service, for one thread."""
    return GcsIO(pipeline_options=PipelineOptions([]))


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


def read_range(bucket: str, name: str, offset: int, size: int) -> bytes:
    """Up to `size` bytes of an object from `offset` on; `size` is not 0."""
    blob = _shared_client().bucket(bucket).blob(name)
    return bytes(blob.download_as_bytes(start=offset, end=offset + size - 1, **_ONCE))


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
