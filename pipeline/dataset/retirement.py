"""Retirement of the versions that a newer one has replaced: first marked, later deleted."""

from __future__ import annotations

import dataclasses
import datetime

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.layout import INFO_FILE, RETIRED_FILE, WORK_DIRECTORY
from lpe.pipeline.dataset.retired_mark import write_mark


@dataclasses.dataclass(frozen=True)
class OldVersion:
    """A committed version that is not the newest.

    Attributes:
      directory: its version directory.
      bytes: size of its shards.
      retired: when it was marked, in UTC; None if it is not marked yet.
    """

    directory: str
    bytes: int
    retired: datetime.datetime | None

    @property
    def version(self) -> str:
        """Its number, e.g. `1.0.0`."""
        return storage.base_name(self.directory)

    def expired(self, after: datetime.timedelta) -> bool:
        """Whether it has been retired for as long as `after`; one that is not marked yet is retired now."""
        return (self.retired or clock.now()) + after <= clock.now()


def old_versions(home: str) -> list[OldVersion]:
    """The versions of a home that are not the newest, oldest first. Raises DataError where metadata is damaged."""
    versions = []
    for version in committed_versions(home)[:-1]:
        directory = storage.join(home, version)
        dataset = open_dataset(directory)
        versions.append(OldVersion(directory, dataset.num_bytes, dataset.retired))
    return versions


def retire(old: OldVersion, replaced_by: str) -> None:
    """Marks a version as replaced by version `replaced_by`; readers that name it still find it."""
    write_mark(old.directory, replaced_by)


def delete(old: OldVersion) -> None:
    """Deletes a version: it is gone for readers at once, and its bytes soon after."""
    _withdraw(old.directory)


def finish_deletions(home: str) -> None:
    """Deletes the rest of a version whose deletion was cut off in an object store."""
    committed = set(committed_versions(home))
    for name in storage.list_names(home):
        directory = storage.join(home, name)
        if name not in committed and storage.exists(storage.join(directory, RETIRED_FILE)):
            _withdraw(directory)


def _withdraw(directory: str) -> None:
    # What a kill leaves half deleted lies where the next job at this home tidies it away.
    aside = storage.join(storage.parent(directory), WORK_DIRECTORY)
    storage.withdraw_directory(directory, last=INFO_FILE, aside=aside)
