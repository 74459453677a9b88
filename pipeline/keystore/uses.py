"""The uses of a key: dataset versions under it, and training runs whose model was trained under it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lpe.pipeline import storage
from lpe.pipeline.dataset import committed_versions
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.pipeline.keystore.metadata import KeyRecord
from lpe.pipeline.storage.documents import read_document
from lpe.transforms.errors import DataError

RUN_FILE = "run.json"


@dataclasses.dataclass(frozen=True)
class Use:
    """Something that needs a key.

    Attributes:
      kind: what it is.
      place: its directory: a dataset version's or a run's.
      found: whether it is there; a disk that is not mounted now may hold it.
    """

    kind: Literal["dataset", "run"]
    place: str
    found: bool

    @classmethod
    def of_run(cls, run: str) -> Use:
        """A training run, by its directory."""
        return cls("run", run, storage.exists(storage.join(run, RUN_FILE)))

    def __str__(self) -> str:
        return f"{self.kind} {self.place}" + ("" if self.found else " (not found)")


def uses(record: KeyRecord) -> list[Use]:
    """What needs the key: all that is recorded. What a version says may be an adversary's, and frees no key."""
    needed_by = [
        Use("dataset", version, storage.exists(storage.join(version, INFO_FILE)))
        for version in record.datasets
    ]
    return [*needed_by, *map(Use.of_run, record.runs)]


def versions_under(root: str, name: str) -> dict[int, list[str]]:
    """Committed versions of the datasets directly below `root` that name keyset `name`, by key id."""
    versions: dict[int, list[str]] = {}
    for dataset in storage.list_names(root):
        home = storage.join(root, dataset)
        for version in committed_versions(home):
            directory = storage.join(home, version)
            key = _key_of(directory)
            if key is not None and key[0] == name:
                versions.setdefault(key[1], []).append(storage.absolute(directory))
    return versions


def _key_of(version: str) -> tuple[str, int] | None:
    """Name and id of the key that a version's encryption.json names; None for plain or unreadable data."""
    try:
        key = read_document(storage.join(version, ENCRYPTION_FILE), "restore it").object("key")
        return key.text("name"), key.integer("id")
    except (OSError, DataError):
        return None
