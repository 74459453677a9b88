"""keys list: a keyset's keys, what needs each of them, and what its rotation policy asks for now."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.dataset import committed_versions
from lpe.pipeline.keystore import KeyInfo, KeyStore, Registry, Use


@dataclasses.dataclass(frozen=True)
class KeysetStatus:
    """A keyset now.

    Attributes:
      name: the keyset's.
      keys: its keys, oldest first.
      uses: by key id, what needs the key.
      rotation_period: how old the primary key may become, e.g. `30d`; None if that is not set.
      last_rotation: when the primary key was made, ISO 8601; None if that is not known.
      rotation_due: when the keyset is to be rotated next; None without a period.
      homes_due: the homes of datasets whose newest version is under an old key.
    """

    name: str
    keys: tuple[KeyInfo, ...]
    uses: Mapping[int, Sequence[Use]]
    rotation_period: str | None
    last_rotation: str | None
    rotation_due: datetime.datetime | None
    homes_due: tuple[str, ...]

    @property
    def due(self) -> tuple[str, ...]:
        """What the policy asks for now, one line each."""
        rotate = self.rotation_due is not None and self.rotation_due <= clock.now()
        lines = ["due: rotate the keyset"] if rotate else []
        return (*lines, *(f"due: re-encrypt {home}" for home in self.homes_due))

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return {
            "name": self.name,
            "keys": [dataclasses.asdict(key) for key in self.keys],
            "needed_by": {
                str(key.id): [dataclasses.asdict(use) for use in self.uses.get(key.id, ())]
                for key in self.keys
            },
            "rotation_period": self.rotation_period,
            "last_rotation": self.last_rotation,
            "due": list(self.due),
        }


def keyset_status(keystore: str, name: str, roots: Sequence[str] = ()) -> KeysetStatus:
    """Looks at a keyset and at the datasets and runs that are recorded under its keys; changes nothing.

    Args:
      keystore: the key store's URI.
      name: the keyset's.
      roots: folders where unrecorded datasets are looked for too, ROOT of ROOT/NAME.

    Raises:
      KeyStoreError: there is no such keyset, or it cannot be opened.
    """
    registry = Registry(keystore)
    keys = KeyStore(keystore).keys(name)
    metadata, uses = registry.metadata(name), registry.uses(name, list(roots))
    return KeysetStatus(
        name,
        tuple(keys),
        uses,
        metadata.rotation_period,
        metadata.last_rotation,
        metadata.rotation_due(),
        tuple(
            storage.parent(use.place)
            for key in keys
            if not key.primary
            for use in uses.get(key.id, [])
            if _is_newest(use.place)
        ),
    )


def _is_newest(version: str) -> bool:
    """Whether this is the newest version of a dataset."""
    return committed_versions(storage.parent(version))[-1:] == [storage.base_name(version)]
