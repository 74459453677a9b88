"""Amazon S3: Beam's access to it, and Amazon's own client for what Beam's cannot do.

Needs the extra `aws`, and is loaded by `objects` when a path begins with s3://. Functions ask once; `objects.retrying`
asks again.
"""

from __future__ import annotations

import copy
import datetime
import functools
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
from apache_beam.io.aws.clients.s3.boto3_client import Client
from apache_beam.io.aws.s3io import S3IO
from apache_beam.options.pipeline_options import PipelineOptions

from lpe.transforms.errors import DataError


def files() -> Any:
    """Beam's access to the service, for one thread."""
    # Each has its own stream, and all share Amazon's client, which takes half a second to make.
    return S3IO(client=copy.copy(_beam_client()))


def client() -> Any:
    """Amazon's own client; asks once and waits for seconds, not minutes."""
    patience = botocore.config.Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("s3", config=patience)


def ask(bucket: str) -> None:
    """Asks for one object of the bucket. Raises DataError where there are no credentials."""
    try:
        client().list_objects_v2(Bucket=bucket, MaxKeys=1)
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise DataError(
            f"s3://{bucket}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give "
            "the machine a role"
        ) from error


def read_range(bucket: str, name: str, offset: int, size: int) -> bytes:
    """Up to `size` bytes of an object from `offset` on; `size` is not 0."""
    part = f"bytes={offset}-{offset + size - 1}"
    return bytes(_shared_client().get_object(Bucket=bucket, Key=name, Range=part)["Body"].read())


def modified(bucket: str, name: str) -> datetime.datetime:
    """When an object was last written, by the service's clock."""
    when: datetime.datetime = _shared_client().head_object(Bucket=bucket, Key=name)["LastModified"]
    return when


def state(bucket: str, name: str) -> tuple[int, str]:
    """The size of an object and its ETag."""
    answer = _shared_client().head_object(Bucket=bucket, Key=name)
    return answer["ContentLength"], answer["ETag"]


def write_empty(bucket: str, name: str) -> None:
    """Writes an object of no bytes: Beam's upload has parts, of which there must be one."""
    client().put_object(Bucket=bucket, Key=name, Body=b"")


class ConditionalObject:
    """An object that is read and changed by version; a tag is its ETag. See `leases.ConditionalObject`."""

    def __init__(self, bucket: str, name: str) -> None:
        self._client = client()
        self._object = {"Bucket": bucket, "Key": name}

    def read(self) -> tuple[bytes, str] | None:
        """Content and tag; None where there is no object."""
        try:
            answer = self._client.get_object(**self._object)
        except self._client.exceptions.NoSuchKey:
            return None
        return answer["Body"].read(), answer["ETag"]

    def write(self, content: bytes, tag: str | None) -> str | None:
        """Makes the object (tag None) or replaces that version; the new tag, or None if that is not what is there."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            return str(self._client.put_object(**self._object, Body=content, **condition)["ETag"])
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}:
                return None
            raise

    def delete(self, tag: str) -> None:
        """Deletes that version; an error where something else is there."""
        self._client.delete_object(**self._object, IfMatch=tag)


@functools.cache
def _beam_client() -> Any:
    return Client(PipelineOptions([]))


@functools.cache
def _shared_client() -> Any:
    return client()


def forget_clients() -> None:
    """Has clients made anew when they are needed."""
    _beam_client.cache_clear()
    _shared_client.cache_clear()
