"""The metadata of a keyset: `NAME.meta.json`, what Tink's format has no place for.

No secret, and not authenticated.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from pathlib import PurePosixPath

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore.auditlog import Head
from lpe.pipeline.keystore.key_event import KeyEvent
from lpe.pipeline.keystore.reading import parse_fields, read_file
from lpe.pipeline.storage.documents import Fields, is_plain_text
from lpe.transforms.errors import KeyStoreError, UsageError

_FORMAT_VERSION = 2
_UNBOUND_VERSION = 1
_KEY_ID = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


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
      log: how far the audit log went when this was written; None before its first line.
      pending: the change of a key that is being made; None between changes.
      bound: whether the keyset is bound to the URI of its key-encryption key, as all are since format version 2.
    """

    kek: str
    rotation_period: str | None = None
    last_rotation: str | None = None
    keys: dict[int, KeyRecord] = dataclasses.field(default_factory=dict)
    log: Head | None = None
    pending: KeyEvent | None = None
    bound: bool = True

    def key(self, key_id: int) -> KeyRecord:
        """What is remembered of a key; made where there is nothing yet."""
        return self.keys.setdefault(key_id, KeyRecord())

    def rotation_due(self) -> datetime.datetime | None:
        """When the primary key comes of age; None where no period is set."""
        if self.rotation_period is None or self.last_rotation is None:
            return None
        return clock.parse_stamp(self.last_rotation) + clock.parse_period(self.rotation_period)

    def write(self, path: str) -> None:
        """Replaces the file."""
        value = {
            "format_version": _FORMAT_VERSION if self.bound else _UNBOUND_VERSION,
            "kek": self.kek,
            "rotation_period": self.rotation_period,
            "last_rotation": self.last_rotation,
            "keys": {str(key_id): dataclasses.asdict(key) for key_id, key in self.keys.items()},
            "log": None if self.log is None else dataclasses.asdict(self.log),
        }
        if self.pending is not None:
            value["pending"] = dataclasses.asdict(self.pending)
        storage.write_atomic(path, (json.dumps(value, indent=2) + "\n").encode(), private=True)


def read_metadata(path: str) -> Metadata:
    """Reads the metadata of a keyset.

    Raises:
      KeyStoreError: the file is missing, damaged, or of another format version.
    """
    try:
        fields = parse_fields(read_file(path), path)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: missing; restore it from your copy") from None
    version = fields.integer("format_version")
    if version not in (_UNBOUND_VERSION, _FORMAT_VERSION):
        raise KeyStoreError(
            f"{path}: format version {version}, this `lpe` reads {_UNBOUND_VERSION} and {_FORMAT_VERSION}; use the "
            "version of `lpe` that wrote it"
        )
    fields.only("format_version", "kek", "rotation_period", "last_rotation", "keys", "log", "pending")
    log = fields.optional_object("log")
    metadata = Metadata(
        kek=_kek(fields),
        rotation_period=fields.optional_text("rotation_period"),
        last_rotation=_stamp(fields, "last_rotation"),
        keys=_keys(fields.object("keys")),
        log=None if log is None else Head(log.integer("lines"), log.text("hash", _SHA256)),
        pending=KeyEvent.from_fields(fields.object("pending")) if fields.has("pending") else None,
        bound=version == _FORMAT_VERSION,
    )
    try:
        metadata.rotation_due()
    except (UsageError, OverflowError) as error:
        fields.refuse(str(error))
    return metadata


def _kek(fields: Fields) -> str:
    """The key-encryption key's URI. One that leads from below the key store to elsewhere is none that lpe writes."""
    kek = fields.text("kek")
    if ".." in PurePosixPath(kek).parts or not kek:
        fields.refuse("kek must name a file or a key in a service")
    return kek


def _keys(fields: Fields) -> dict[int, KeyRecord]:
    keys = {}
    for name in fields.names():
        if not _KEY_ID.fullmatch(name):
            fields.refuse("a key's id must be a number")
        record = fields.object(name)
        record.only("created", "datasets", "runs", "used")
        runs = record.object("runs")
        if not all(map(is_plain_text, runs.names())):
            runs.refuse("a run's directory must be a text without control characters")
        keys[int(name)] = KeyRecord(
            created=_stamp(record, "created"),
            datasets=list(record.texts("datasets")),
            runs={run: runs.text(run) for run in runs.names()},
            used=record.boolean("used"),
        )
    return keys


def _stamp(fields: Fields, name: str) -> str | None:
    text = fields.optional_text(name)
    try:
        return text if text is None else clock.parse_stamp(text).isoformat()
    except ValueError:
        fields.refuse(f"{name} must be a time with its zone, as 2026-01-31T12:00:00+00:00")
