"""Checks of a bucket for datasets: each right that jobs need, used once on a small object."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import secrets
from collections.abc import Callable

from lpe.pipeline import clock, storage
from lpe.pipeline.jobs.doctor.check import Check, failed, fault
from lpe.pipeline.storage import leases, objects
from lpe.transforms.errors import DataError, LpeError

_CONTENT = b"lpe doctor\n"
_MAKE = {"s3": "aws s3 mb {bucket}", "gs": "gcloud storage buckets create {bucket}"}
_ALLOW = {
    "s3": "allow this account {right} on {bucket} (aws iam put-user-policy)",
    "gs": "gcloud storage buckets add-iam-policy-binding {bucket} --member=ACCOUNT --role=roles/storage.objectUser",
}


@dataclasses.dataclass(frozen=True)
class _Step:
    """One use of a bucket.

    Attributes:
      name: what is done.
      rights: what it is called in the service's policies, by scheme.
      act: does it.
    """

    name: str
    rights: dict[str, str]
    act: Callable[[_Probe], None]


class _Probe:
    """An object under a root that nobody else knows, and another for conditional writes."""

    def __init__(self, root: str) -> None:
        self._path = storage.join(root, f".lpe-doctor-{secrets.token_hex(8)}")
        self._condition = f"{self._path}.lock"
        self.skew: datetime.timedelta | None = None

    def find(self) -> None:
        """Lists a folder in which there is nothing."""
        objects.list_objects(f"{self._path}/")

    def write(self) -> None:
        """Writes the object, as a job writes a shard."""
        storage.write_atomic(self._path, _CONTENT)

    def read(self) -> None:
        """Reads it back. Raises DataError if it is another."""
        if storage.read_bytes(self._path) != _CONTENT:
            raise DataError(
                f"{self._path}: an object is read otherwise than written; check what answers there"
            )

    def write_conditionally(self) -> None:
        """Writes the other object as locks are written. Raises DataError if the service ignores conditions."""
        held = leases.conditional_object(self._condition)

        def put(content: bytes, tag: str | None) -> str | None:
            return objects.retrying(self._condition, lambda: held.write(content, tag))

        first = put(b"1", None)
        if first is None:
            raise DataError(
                f"{self._condition}: the service says that a new object is there; use another service"
            )
        again, second, stale = put(b"2", None), put(b"2", first), put(b"3", first)
        if again is not None or second is None or stale is not None:
            raise DataError(
                f"{storage.parent(self._path)}: the service ignores the conditions of a write, so that locks lock "
                "nothing; use a service that knows If-None-Match (S3) or generations (Google), or run one job at a time"
            )

    def time(self) -> None:
        """Measures how far this machine's clock is from the service's."""
        before = clock.now()
        storage.write_atomic(self._path, _CONTENT)
        after = clock.now() + datetime.timedelta(seconds=1)  # both clocks are read to the second
        there = objects.modified(self._path)
        self.skew = max(before - there, datetime.timedelta()) or min(after - there, datetime.timedelta())

    def delete(self) -> None:
        """Deletes both objects."""
        for path in (self._path, self._condition):
            storage.delete(path)


_STEPS = (
    _Step("list", {"s3": "s3:ListBucket", "gs": "storage.objects.list"}, _Probe.find),
    _Step("write", {"s3": "s3:PutObject", "gs": "storage.objects.create"}, _Probe.write),
    _Step("read", {"s3": "s3:GetObject", "gs": "storage.objects.get"}, _Probe.read),
    _Step(
        "conditional write",
        {"s3": "s3:PutObject", "gs": "storage.objects.create"},
        _Probe.write_conditionally,
    ),
    _Step("replace", {"s3": "s3:PutObject", "gs": "storage.objects.delete"}, _Probe.time),
    _Step("delete", {"s3": "s3:DeleteObject", "gs": "storage.objects.delete"}, _Probe.delete),
)


def check_bucket(root: str) -> tuple[list[Check], datetime.timedelta | None]:
    """Checks each right in turn, until one is missing; deletes what it wrote.

    Args:
      root: s3://BUCKET/… or gs://BUCKET/….

    Returns:
      The checks, and how far this machine's clock is ahead of the service's; None if that is not known.
    """
    scheme = root.partition("://")[0]
    bucket = f"{scheme}://{objects.split_path(root)[0]}"
    probe = _Probe(root)
    checks: list[Check] = []
    for step in _STEPS:
        name = f"bucket: {step.name}"
        try:
            step.act(probe)
        except objects.RefusedError as error:
            right = step.rights[scheme]
            remedy = _ALLOW[scheme].format(right=right, bucket=bucket)
            checks.append(fault(name, f"{failed(name, error).detail}: it needs {right}", remedy))
        except (LpeError, OSError) as error:
            found = failed(name, error)
            if not checks and isinstance(error, FileNotFoundError):
                found = dataclasses.replace(found, remedy=_MAKE[scheme].format(bucket=bucket))
            checks.append(found)
        else:
            checks.append(Check(name, "ok", step.rights[scheme]))
            continue
        if len(checks) > 1:
            with contextlib.suppress(LpeError, OSError):
                probe.delete()
        break
    return checks, probe.skew
