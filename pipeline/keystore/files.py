"""The files of the keysets in one key store, read and changed safely.

A keyset NAME is three files: `NAME.json`, the keyset under its KEK; `NAME.meta.json`, what Tink's format has
no place for; `NAME.log.jsonl`, the audit trail. A change of a key writes the metadata first, with what is about to
happen, then the keyset, then the log; what a kill leaves out is made up for by the next change, and nothing else is: a
key that came otherwise is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tink.proto import tink_pb2

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore import keyset as keysets
from lpe.pipeline.keystore.auditlog import AuditLog
from lpe.pipeline.keystore.consistency import contradiction, kek_problem, unexplained
from lpe.pipeline.keystore.kek import PIN, check_pinned, open_kek
from lpe.pipeline.keystore.kek_service import Kek
from lpe.pipeline.keystore.key_event import ACCEPTED, KeyEvent
from lpe.pipeline.keystore.keyset import STATES
from lpe.pipeline.keystore.metadata import Metadata, read_metadata
from lpe.pipeline.storage import locks
from lpe.transforms import labels
from lpe.transforms.errors import KeyStoreError
from lpe.transforms.not_picklable import NotPicklable

_KEK_FILE = "kek.json"  # relative, so that the folder can be moved as a whole
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LOCK_FILE = ".lock"
_LOCK_WAIT = 30.0  # seconds; changes take a fraction of one


@dataclasses.dataclass(repr=False)
class OpenKeyset(NotPicklable):
    """A keyset in the clear, with its metadata. It cannot be pickled or printed.

    Attributes:
      store: the key store, for messages.
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
      completed: the change of a key that a kill had cut short, made up for before this one.
    """

    log: AuditLog
    lock: locks.Lock
    completed: KeyEvent | None = None


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
        names = [name.removesuffix(suffix) for name in storage.list_names(self.uri) if name.endswith(suffix)]
        return [name for name in names if _NAME.fullmatch(name)]

    def exists(self, name: str) -> bool:
        """Whether there is a keyset of this name."""
        return storage.exists(self.keyset_path(name))

    def metadata(self, name: str) -> Metadata:
        """What is remembered of the keyset besides its keys; needs no key-encryption key."""
        if not self.exists(name):
            raise self._missing(name)
        for path in (self.uri, self.keyset_path(name), self.meta_path(name), self.log_path(name)):
            storage.check_unchangeable(path)
        return read_metadata(self.meta_path(name))

    def read(self, name: str) -> OpenKeyset:
        """The unwrapped keyset, and its metadata: one call of the key-encryption key."""
        meta = self.metadata(name)
        contexts = [labels.keyset(name, meta.kek)]
        if not meta.bound:
            # Binding writes the keyset first: a kill between leaves it bound, with metadata that does not say so.
            contexts.append(labels.unbound_keyset(name))
        keyset = keysets.read_keyset(self.keyset_path(name), contexts, self.open_kek(meta.kek))
        return OpenKeyset(_shown(self.uri), name, keyset, meta)

    @contextlib.contextmanager
    def changing(self, name: str, *, accept: bool = False) -> Iterator[Change]:
        """Opens a keyset to be changed, under the store's lock.

        Args:
          name: the keyset.
          accept: log every key, of which the log says something else, as it is.

        Raises:
          KeyStoreError: the keyset's files contradict each other.
        """
        with self.locked() as lock:
            yield self.open_change(name, lock, accept=accept)

    def open_change(self, name: str, lock: locks.Lock, *, accept: bool = False) -> Change:
        """Opens a keyset to be changed by the holder of the lock; first completes what a kill cut short."""
        opened = self.read(name)
        change = self.change(name, opened.keyset, opened.meta, lock)
        if not change.meta.bound:
            self._write_keyset(change, self._wrapped(change))
            change.meta.bound = True
            self.write_metadata(change)
        self._complete(change)
        problem = kek_problem(change.meta.kek, change.log)
        if problem is not None:
            raise KeyStoreError(
                f"{change.log.path}: {problem}; restore all files of the keyset from one copy"
            )
        for key_id, state in unexplained(change.keyset, change.log).items():
            if not accept:
                raise KeyStoreError(
                    f"{change.log.path}: {contradiction(key_id, state, change.log)}; restore all files of the keyset "
                    f"from one copy, or if you know why, accept it: lpe keys log {name} --accept"
                )
            self.log_event(change, ACCEPTED, key=key_id, state=state)
        return change

    def change(self, name: str, keyset: tink_pb2.Keyset, meta: Metadata, lock: locks.Lock) -> Change:
        """Describes a change of a keyset, an old or a new one, by the holder of the lock."""
        return Change(_shown(self.uri), name, keyset, meta, self.audit_log(name), lock)

    def write(self, change: Change, event: str, key_id: int, **details: object) -> None:
        """Writes a changed keyset, and what happened to which key to the log.

        Args:
          change: the keyset, as it is to be.
          event: what happened.
          key_id: the key that it happened to.
          **details: what else the log is to say; see `KeyEvent`.
        """
        wrapped = self._wrapped(change)
        record = change.meta.key(key_id)
        record.created = record.created or clock.stamp()
        change.meta.pending = KeyEvent(event, key_id, details)
        change.lock.check()
        # First the metadata, which says what is being done, so that the next change can complete it.
        self.write_metadata(change)
        self._write_keyset(change, wrapped)
        self._log_pending(change, change.meta.pending)

    def _wrapped(self, change: Change) -> bytes:
        context = labels.keyset(change.name, change.meta.kek)
        return keysets.wrap(change.name, change.keyset, context, self.open_kek(change.meta.kek))

    def _write_keyset(self, change: Change, wrapped: bytes) -> None:
        storage.write_atomic(self.keyset_path(change.name), wrapped, private=True)

    def _log_pending(self, change: Change, event: KeyEvent, **details: object) -> None:
        change.meta.pending = None
        self.log_event(change, event.event, key=event.key, **event.details, **details)

    def _complete(self, change: Change) -> None:
        """Logs a change that a kill cut short, if the keyset was changed; else forgets it."""
        event = change.meta.pending
        if event is None:
            return
        states = {key.key_id: STATES[key.status] for key in change.keyset.key}
        logged = change.log.has(event, after=change.meta.log)
        if states.get(event.key) == event.state:
            change.completed = event
            if not logged:
                self._log_pending(change, event, late=True)
                return
        if event.key not in states:
            change.meta.keys.pop(event.key, None)
        if logged:
            change.meta.log = change.log.head
        change.meta.pending = None
        self.write_metadata(change)

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
        """Holds the store's lock: one change at a time. What killed changes left half written is removed."""
        if not storage.is_remote(self.uri):
            Path(self.uri).mkdir(parents=True, exist_ok=True, mode=0o700)
        storage.check_unchangeable(self.uri)
        with locks.held(
            storage.join(self.uri, _LOCK_FILE), f"key store {_shown(self.uri)}", wait=_LOCK_WAIT
        ) as lock:
            # It may be a keyset with a key that was destroyed since.
            storage.delete_temporary_files(self.uri)
            yield lock

    def keyset_path(self, name: str) -> str:
        """The path of the wrapped keyset."""
        return self._path(name, "json")

    def meta_path(self, name: str) -> str:
        """The path of its metadata."""
        return self._path(name, "meta.json")

    def log_path(self, name: str) -> str:
        """The path of its audit trail."""
        return self._path(name, "log.jsonl")

    def audit_log(self, name: str) -> AuditLog:
        """Its audit trail, as it stands in its file now."""
        return AuditLog(self.log_path(name), name)

    def recorded_kek(self, kek: str | None) -> str:
        """How metadata records the key-encryption key that somebody names, or the default one for None."""
        named = kek or os.environ.get(PIN)
        if named:
            check_pinned(named)
            return storage.absolute(named)
        if storage.is_remote(self.uri):
            raise KeyStoreError(
                f"{self.uri}: a remote key store must not hold its own key-encryption key; name one with --kek, "
                "e.g. a key of your cloud's key service"
            )
        return _KEK_FILE

    def open_kek(self, recorded: str) -> Kek:
        """The key-encryption key with this URI, as metadata records it."""
        uri = self.kek_uri(recorded)
        check_pinned(uri)
        return open_kek(uri)

    def kek_uri(self, recorded: str) -> str:
        """The URI of a key-encryption key that metadata records so; a relative path is below the store."""
        if storage.is_remote(recorded) or Path(recorded).is_absolute():
            return recorded
        return storage.join(self.uri, recorded)

    def _path(self, name: str, suffix: str) -> str:
        """The path of one of a keyset's files. Raises KeyStoreError for what cannot be a keyset's name."""
        if not _NAME.fullmatch(name) or f"{name.lower()}.json" == _KEK_FILE:
            raise KeyStoreError(
                f"{ascii(name)[:100]} cannot name a keyset: use at most 128 letters, digits, - and _ (and not 'kek')"
            )
        return storage.join(self.uri, f"{name}.{suffix}")

    def _missing(self, name: str) -> KeyStoreError:
        known = ", ".join(self.names()) or "none"
        return KeyStoreError(
            f"{self.keyset_path(name)}: no such keyset (here: {known}); make it with lpe keys create {name} "
            f"--keystore {self.uri}"
        )


def _shown(uri: str) -> str:
    """A key store in a sentence, where `.` would be taken for its end."""
    return storage.absolute(uri) if uri.strip("./") == "" else uri
