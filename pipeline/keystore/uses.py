"""Who needs a key: dataset versions under it, and training runs whose model was trained under it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from lpe.pipeline import storage
from lpe.pipeline.dataset import committed_versions
from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.pipeline.keystore.metadata import KeyRecord

RUN_FILE = "run.json"


@dataclasses.dataclass(frozen=True)
class Use:
    """Something that needs a key.

    Attributes:
      kind: what it is.
      place: its directory.
      found: whether it is there; a disk that is not mounted now may hold it.
    """

    kind: Literal["dataset", "run"]
    place: str
    found: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.place}" + ("" if self.found else " (not found)")


def uses(key_id: int, record: KeyRecord) -> list[Use]:
    """What needs the key. A version that was encrypted under another one in the end is none of them."""
    found = []
    for place in record.datasets:
        there = storage.exists(storage.join(place, INFO_FILE))
        if not there or _key_of(place).get("id", key_id) == key_id:
            found.append(Use("dataset", place, there))
    found += [Use("run", place, storage.exists(storage.join(place, RUN_FILE))) for place in record.runs]
    return found


def versions_under(root: str, name: str) -> dict[int, list[str]]:
    """Committed versions of the datasets directly below `root` that name keyset `name`, by key id."""
    found: dict[int, list[str]] = {}
    for dataset in storage.list_names(root):
        home = storage.join(root, dataset)
        for version in committed_versions(home):
            key = _key_of(storage.join(home, version))
            if key.get("name") == name and isinstance(key.get("id"), int):
                found.setdefault(key["id"], []).append(storage.absolute(storage.join(home, version)))
    return found


def _key_of(version: str) -> dict[str, Any]:
    """The key that a version's encryption.json names; empty for plain or unreadable data."""
    try:
        value = json.loads(storage.read_bytes(storage.join(version, ENCRYPTION_FILE)))
        return dict(value["key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
