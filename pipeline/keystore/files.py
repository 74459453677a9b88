"""The files of the keysets in one key store, read and changed safely.

A keyset NAME is three files: `NAME.json`, the keyset under its KEK; `NAME.meta.json`, what Tink's format has
no place for; `NAME.log.jsonl`, the audit trail. A change writes the metadata first, whose extra entries do no
harm, then the keyset, then the log; what a kill leaves out is made up for by the next change.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tink.proto import tink_pb2

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore import keyset as keysets
from lpe.pipeline.keystore.auditlog import AuditLog, key_states
from lpe.pipeline.keystore.kek import open_kek
from lpe.pipeline.keystore.keyset import STATES
from lpe.pipeline.keystore.metadata import Metadata, read_metadata
from lpe.pipeline.storage import locks
from lpe.transforms.errors import KeyStoreError
from lpe.transforms.not_picklable import NotPicklable

_LOCK_FILE = ".lock"
_LOCK_WAIT = 30.0  # seconds; changes take a fraction of one


@dataclasses.dataclass(repr=False)
class OpenKeyset(NotPicklable):
    """A keyset in the clear, with its metadata. It cannot be pickled or printed.

    Attributes:
      store: the key store's URI, for messages.
      name: the keyset's name.
      keyset: the keys, with their material.
      meta: what is remembered of them.
    """

    store: str
    name: str
    keyset: tink_pb2.Keyset
    meta: Metadata

    def find(self, key_id: int) -> tink_pb2.Keyset.Key:
        """The key with this id. Raises KeyStoreError if there is none."""
        for key in self.keyset.key:
            if key.key_id == key_id:
                return key
        raise KeyStoreError(
            f"keyset {self.name!r} in {self.store} has no key {key_id}: it may be another keyset of the same name; use "
            "the key store that the data was encrypted with"
        )

    def check_enabled(self, key_id: int) -> None:
        """Raises KeyStoreError unless the key is there and enabled."""
        state = STATES[self.find(key_id).status]
        if state != "enabled":
            remedy = "enable it" if state == "disabled" else "data under it cannot be read any more"
            raise KeyStoreError(f"key {key_id} of keyset {self.name!r} in {self.store} is {state}; {remedy}")


@dataclasses.dataclass(repr=False)
class Change(OpenKeyset):
    """A keyset that is being changed, under the store's lock.

    Attributes:
      log: its audit trail.
      lock: the store's lock, held.
    """

    log: AuditLog
    lock: locks.Lock


class KeysetFiles:
    """The keysets in one directory.

    All methods raise KeyStoreError, whose message says what is wrong with which file, and those that change
    something BusyError if another process holds the store for too long. They are safe to call from several
    processes; an instance holds no state but its URI.

    Args:
      uri: the directory, local or remote.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def names(self) -> list[str]:
        """The names of the keysets here."""
        suffix = ".meta.json"
        return [name[: -len(suffix)] for name in storage.list_names(self.uri) if name.endswith(suffix)]

    def exists(self, name: str) -> bool:
        """Whether there is a keyset of this name."""
        return storage.exists(self.keyset_path(name))

    def metadata(self, name: str) -> Metadata:
        """What is remembered of the keyset besides its keys; needs no key-encryption key."""
        if not self.exists(name):
            raise self._missing(name)
        return read_metadata(self.meta_path(name))

    def read(self, name: str) -> OpenKeyset:
        """The unwrapped keyset, and its metadata: one call of the key-encryption key."""
        meta = self.metadata(name)
        kek = open_kek(self.kek_uri(meta.kek))
        keyset = keysets.read_keyset(self.keyset_path(name), name, kek)
        return OpenKeyset(self.uri, name, keyset, meta)

    @contextlib.contextmanager
    def changing(self, name: str) -> Iterator[Change]:
        """Opens a keyset to be changed, under the store's lock; first logs what a kill left unlogged."""
        with self.locked() as lock:
            opened = self.read(name)
            change = self.change(name, opened.keyset, opened.meta, lock)
            logged = key_states(change.log.events)
            for key in change.keyset.key:
                state = STATES[key.status]
                if logged.get(key.key_id) != state:
                    event = state if key.key_id in logged else "rotated" if logged else "created"
                    self.log_event(change, event, key=key.key_id, late=True)
            yield change

    def change(self, name: str, keyset: tink_pb2.Keyset, meta: Metadata, lock: locks.Lock) -> Change:
        """Describes a change of a keyset, an old or a new one, by the holder of the lock."""
        return Change(self.uri, name, keyset, meta, self.audit_log(name), lock)

    def write(self, change: Change, event: str, key_id: int, **details: object) -> None:
        """Writes a changed keyset, and what happened to which key to the log.

        Args:
          change: the keyset, as it is to be.
          event: what happened.
          key_id: the key that it happened to.
          **details: what else the log is to say; JSON values.
        """
        wrapped = keysets.wrap(change.name, change.keyset, open_kek(self.kek_uri(change.meta.kek)))
        record = change.meta.key(key_id)
        record.created = record.created or clock.stamp()
        change.lock.check()
        # First the metadata, whose extra entries do no harm without the keyset's.
        self.write_metadata(change)
        storage.write_atomic(self.keyset_path(change.name), wrapped, private=True)
        self.log_event(change, event, key=key_id, **details)

    def write_metadata(self, change: Change) -> None:
        """Writes the metadata alone."""
        change.meta.write(self.meta_path(change.name))

    def log_event(self, change: Change, event: str, **details: object) -> None:
        """Writes a line to the log, then the metadata, which remembers how far the log goes."""
        meta = change.meta
        meta.log = change.log.append(event, meta.log, **details)
        meta.last_rotation = meta.key(change.keyset.primary_key_id).created
        self.write_metadata(change)

    @contextlib.contextmanager
    def locked(self) -> Iterator[locks.Lock]:
        """Holds the store's lock: one change at a time."""
        if not storage.is_remote(self.uri):
            Path(self.uri).mkdir(parents=True, exist_ok=True, mode=0o700)
        with locks.held(storage.join(self.uri, _LOCK_FILE), f"key store {self.uri}", wait=_LOCK_WAIT) as lock:
            yield lock

    def keyset_path(self, name: str) -> str:
        """The path of the wrapped keyset."""
        return storage.join(self.uri, f"{name}.json")

    def meta_path(self, name: str) -> str:
        """The path of its metadata."""
        return storage.join(self.uri, f"{name}.meta.json")

    def audit_log(self, name: str) -> AuditLog:
        """Its audit trail, as it stands in its file now."""
        return AuditLog(storage.join(self.uri, f"{name}.log.jsonl"), name)

    def kek_uri(self, uri: str) -> str:
        """The key-encryption key that the metadata names; a relative path is below the store."""
        return uri if storage.is_remote(uri) or Path(uri).is_absolute() else storage.join(self.uri, uri)

    def _missing(self, name: str) -> KeyStoreError:
        known = ", ".join(self.names()) or "none"
        return KeyStoreError(
            f"{self.keyset_path(name)}: no such keyset (here: {known}); make it with lpe keys create {name} "
            f"--keystore {self.uri}"
        )
