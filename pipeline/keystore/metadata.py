"""The metadata of a keyset: `NAME.meta.json`, what Tink's format has no place for.

No secret, and not authenticated.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore.auditlog import Head
from lpe.transforms.errors import KeyStoreError, UsageError

_FORMAT_VERSION = 1


@dataclasses.dataclass
class KeyRecord:
    """What is remembered of one key.

    Attributes:
      created: when it was made (ISO 8601); None if that was lost.
      datasets: version directories that were (or are being) encrypted under it.
      runs: training runs whose model needs it, with the salt of the dataset that they learned from.
      used: whether a dataset ever was encrypted under it.
    """

    created: str | None = None
    datasets: list[str] = dataclasses.field(default_factory=list)
    runs: dict[str, str] = dataclasses.field(default_factory=dict)
    used: bool = False


@dataclasses.dataclass
class Metadata:
    """The metadata of a keyset.

    Attributes:
      kek: URI of the key-encryption key; a relative one is below the key store.
      rotation_period: how old the primary key may become, e.g. `30d`; None for any age.
      last_rotation: when the primary key was made (ISO 8601).
      keys: by key id.
      log: how far the audit log went when this was written.
    """

    kek: str
    rotation_period: str | None = None
    last_rotation: str | None = None
    keys: dict[int, KeyRecord] = dataclasses.field(default_factory=dict)
    log: Head | None = None

    def key(self, key_id: int) -> KeyRecord:
        """What is remembered of a key; made where there is nothing yet."""
        return self.keys.setdefault(key_id, KeyRecord())

    def rotation_due(self) -> datetime.datetime | None:
        """When the primary key comes of age; None where no period is set. Raises ValueError if damaged."""
        if self.rotation_period is None or self.last_rotation is None:
            return None
        return clock.parse_stamp(self.last_rotation) + clock.parse_period(self.rotation_period)

    def write(self, path: str) -> None:
        """Replaces the file."""
        value = dataclasses.asdict(self)
        value["keys"] = {str(key_id): dataclasses.asdict(key) for key_id, key in self.keys.items()}
        text = json.dumps({"format_version": _FORMAT_VERSION, **value}, indent=2) + "\n"
        storage.write_atomic(path, text.encode(), private=True)


def read_metadata(path: str) -> Metadata:
    """Reads the metadata of a keyset.

    Raises:
      KeyStoreError: the file is missing, damaged, or of another format version.
    """
    try:
        value = json.loads(storage.read_bytes(path))
        if value["format_version"] != _FORMAT_VERSION:
            raise KeyStoreError(
                f"{path}: format version {value['format_version']!r}, this `lpe` reads {_FORMAT_VERSION}; use the "
                "version of `lpe` that wrote it"
            )
        return _from_json(value)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: missing; restore it from your copy") from None
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        raise KeyStoreError(f"{path}: damaged ({error!r}); restore it from your copy") from error


def _from_json(value: dict[str, Any]) -> Metadata:
    keys = {int(key_id): KeyRecord(**record) for key_id, record in value["keys"].items()}
    log = Head(**value["log"]) if value["log"] is not None else None
    if not isinstance(value["kek"], str):
        raise ValueError("no kek")
    metadata = Metadata(value["kek"], value["rotation_period"], value["last_rotation"], keys, log)
    metadata.rotation_due()  # a period or time that can't be read is damage
    return metadata
