"""Amazon S3, through Amazon's own client.

Needs the extra `aws`, and is loaded by `objects` when a path begins with s3://. Functions ask once; `objects.retrying`
asks again.
"""

from __future__ import annotations

import datetime
import functools
import types
from typing import Any, BinaryIO

import boto3
import boto3.s3.transfer
import botocore.config
import botocore.exceptions

from lpe.transforms.errors import DataError

# One part after another: the memory for a file is that for one part.
_IN_TURN = boto3.s3.transfer.TransferConfig(use_threads=False)


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


def list_page(bucket: str, prefix: str, token: str | None) -> tuple[list[tuple[str, int]], str | None]:
    """The names and sizes of some objects whose names begin with `prefix`, and the token of the next page, if any."""
    where = {"Bucket": bucket, "Prefix": prefix}
    answer = _shared_client().list_objects_v2(**where, **({"ContinuationToken": token} if token else {}))
    return [(item["Key"], item["Size"]) for item in answer.get("Contents", ())], answer.get(
        "NextContinuationToken"
    )


def read_range(bucket: str, name: str, offset: int, size: int, tag: str | None = None) -> bytes:
    """Up to `size` bytes of an object from `offset` on, in the state `tag` if given; `size` is not 0."""
    part = f"bytes={offset}-{offset + size - 1}"
    condition = {} if tag is None else {"IfMatch": tag}
    return bytes(_shared_client().get_object(Bucket=bucket, Key=name, Range=part, **condition)["Body"].read())


def modified(bucket: str, name: str) -> datetime.datetime:
    """When an object was last written, by the service's clock."""
    when: datetime.datetime = _shared_client().head_object(Bucket=bucket, Key=name)["LastModified"]
    return when


def state(bucket: str, name: str) -> tuple[int, str]:
    """The size of an object and its ETag."""
    answer = _shared_client().head_object(Bucket=bucket, Key=name)
    return answer["ContentLength"], answer["ETag"]


def write(bucket: str, name: str, content: BinaryIO, size: int) -> None:
    """Writes an object from a file of `size` bytes, in parts if it is large."""
    # Without its close: the client closes what it is given, which may be needed for another try.
    kept = types.SimpleNamespace(read=content.read, seek=content.seek, tell=content.tell, close=lambda: None)
    _transfer_client().upload_fileobj(kept, bucket, name, Config=_IN_TURN)


def copy(source: tuple[str, str], target: tuple[str, str]) -> None:
    """Copies an object, given by bucket and name."""
    _transfer_client().copy({"Bucket": source[0], "Key": source[1]}, *target)


def delete(bucket: str, name: str) -> None:
    """Deletes an object, if there is one."""
    _shared_client().delete_object(Bucket=bucket, Key=name)


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
def _shared_client() -> Any:
    return client()


@functools.cache
def _transfer_client() -> Any:
    """Amazon's client as it is made by default: asks again for a part, since a file has many."""
    return boto3.session.Session().client("s3")


def forget_clients() -> None:
    """Has clients made anew when they are needed."""
    _shared_client.cache_clear()
    _transfer_client.cache_clear()
