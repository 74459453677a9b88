"""Versions of a dataset that a newer one has replaced: marked as retired, and deleted when they are of age."""

from __future__ import annotations

import dataclasses
import datetime
import json

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.transforms.errors import DataError

RETIRED_FILE = "retired.json"


@dataclasses.dataclass(frozen=True)
class OldVersion:
    """A committed version that is not the newest.

    Attributes:
      directory: where it is.
      bytes: of its shards.
      retired: when it was marked; None if it is not marked yet.
    """

    directory: str
    bytes: int
    retired: datetime.datetime | None

    @property
    def version(self) -> str:
        return storage.base_name(self.directory)

    def expired(self, after: datetime.timedelta) -> bool:
        """Whether it has been retired for so long by now; one that is about to be marked counts from now."""
        return (self.retired or clock.now()) + after <= clock.now()


def old_versions(home: str) -> list[OldVersion]:
    """The versions that are not the newest, oldest first."""
    found = []
    for version in committed_versions(home)[:-1]:
        directory = storage.join(home, version)
        found.append(OldVersion(directory, open_dataset(directory).num_bytes, _retired(directory)))
    return found


def retire(old: OldVersion, replaced_by: str) -> None:
    """Marks a version; readers that name it still find it."""
    mark = {"retired": clock.stamp(), "replaced_by": replaced_by}
    storage.write_atomic(storage.join(old.directory, RETIRED_FILE), (json.dumps(mark) + "\n").encode())


def delete(old: OldVersion) -> None:
    """Deletes a version: it is gone for readers at once, and its bytes soon after."""
    storage.withdraw_directory(old.directory, last=INFO_FILE)


def finish_deletions(home: str) -> None:
    """Deletes what a killed `delete` left behind in an object store: a version that is none any more."""
    committed = set(committed_versions(home))
    for name in storage.list_names(home):
        directory = storage.join(home, name)
        if name not in committed and storage.exists(storage.join(directory, RETIRED_FILE)):
            storage.withdraw_directory(directory, last=INFO_FILE)


def _retired(directory: str) -> datetime.datetime | None:
    path = storage.join(directory, RETIRED_FILE)
    if not storage.exists(path):
        return None
    try:
        return clock.parse_stamp(json.loads(storage.read_bytes(path))["retired"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); delete it, and the time counts anew") from error
