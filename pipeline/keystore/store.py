"""The key store: its keys created, rotated, disabled, destroyed, opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tink.proto import tink_pb2

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore import keyset as keysets
from lpe.pipeline.keystore.auditlog import AuditTrail
from lpe.pipeline.keystore.consistency import contradiction, kek_problem, unexplained
from lpe.pipeline.keystore.encoders_path import delete_encoders
from lpe.pipeline.keystore.files import Change, KeysetFiles, OpenKeyset
from lpe.pipeline.keystore.kek import create_local_kek
from lpe.pipeline.keystore.key import DatasetKey
from lpe.pipeline.keystore.keyset import STATES, State
from lpe.pipeline.keystore.metadata import Metadata
from lpe.pipeline.keystore.names_path import delete_names
from lpe.pipeline.keystore.uses import Use, uses
from lpe.pipeline.storage import locks
from lpe.transforms.errors import KeyStoreError


@dataclasses.dataclass(frozen=True)
class KeyInfo:
    """What may be said of one key of a keyset.

    Attributes:
      id: its id, unique in the keyset.
      state: `enabled`, `disabled` or `destroyed`.
      primary: whether new datasets are encrypted under it.
      created: when it was made (ISO 8601); None if that was lost.
    """

    id: int
    state: State
    primary: bool
    created: str | None


class KeyStore:
    """The keysets in one directory, and what can be done with their keys.

    All methods raise KeyStoreError, whose message says what is wrong with which file, and those that change
    something BusyError if another process holds the store for too long. They are safe to call from several
    processes and threads: each reads the files anew. Key material leaves it as a `DatasetKey` alone.

    Args:
      uri: the directory, local or remote; `create` makes a local one.
    """

    def __init__(self, uri: str) -> None:
        self._files = KeysetFiles(uri)

    @property
    def uri(self) -> str:
        """The directory."""
        return self._files.uri

    def names(self) -> list[str]:
        """The names of the keysets."""
        return self._files.names()

    def exists(self, name: str) -> bool:
        """Whether there is a keyset of this name."""
        return self._files.exists(name)

    def metadata(self, name: str) -> Metadata:
        """What is remembered of a keyset besides its keys; needs no key-encryption key."""
        return self._files.metadata(name)

    def create(self, name: str, kek: str | None = None, rotation_period: str | None = None) -> list[KeyInfo]:
        """Makes a keyset with one primary key.

        Args:
          name: at most 128 letters, digits, - and _.
          kek: URI of the key-encryption key; a local file is made if absent. Default: the one that the environment
            variable LPE_KEK names, else kek.json here.
          rotation_period: how old a primary key may become, e.g. `30d`.

        Raises:
          UsageError: the period is none.
        """
        if rotation_period is not None:
            clock.parse_period(rotation_period)
        recorded_kek = self._files.recorded_kek(kek)
        with self._files.locked() as lock:
            if self.exists(name):
                self._finish_creation(name, recorded_kek, rotation_period, lock)
                return self.keys(name)
            kek_uri = self._files.kek_uri(recorded_kek)
            if not storage.is_remote(kek_uri):
                create_local_kek(kek_uri)
            key = keysets.new_key(taken=set())
            keyset = tink_pb2.Keyset(primary_key_id=key.key_id, key=[key])
            change = self._files.change(name, keyset, Metadata(recorded_kek, rotation_period), lock)
            self._files.write(change, "created", key.key_id, kek=recorded_kek)
        return self.keys(name)

    def _finish_creation(self, name: str, kek: str, rotation_period: str | None, lock: locks.Lock) -> None:
        """Completes what a killed `create` of the same keyset began. Raises KeyStoreError if nothing is left to do."""
        meta = self.metadata(name)
        if meta.log is not None or meta.kek != kek:
            raise KeyStoreError(
                f"{self._files.keyset_path(name)}: this keyset exists; choose another name or rotate this one"
            )
        change = self._files.open_change(name, lock)
        change.meta.rotation_period = rotation_period or change.meta.rotation_period
        self._files.write_metadata(change)

    def keys(self, name: str) -> list[KeyInfo]:
        """The keys of a keyset, oldest first."""
        opened = self._files.read(name)
        records = opened.meta.keys
        return [
            KeyInfo(
                key.key_id,
                STATES[key.status],
                key.key_id == opened.keyset.primary_key_id,
                records[key.key_id].created if key.key_id in records else None,
            )
            for key in opened.keyset.key
        ]

    def rotate(self, name: str, rotation_period: str | None = None) -> list[KeyInfo]:
        """Adds a key and makes it primary; the others stay as they are. A rotation that a kill cut short is completed.

        Args:
          name: the keyset.
          rotation_period: from now on, how old a primary key may become. Default: as before.

        Raises:
          UsageError: the period is none.
        """
        if rotation_period is not None:
            clock.parse_period(rotation_period)
        with self._files.changing(name) as change:
            change.meta.rotation_period = rotation_period or change.meta.rotation_period
            if change.completed is None or change.completed.event != "rotated":
                self._rotate(change)
            else:
                self._files.write_metadata(change)
        return self.keys(name)

    def rotate_if_due(self, name: str) -> int | None:
        """Rotates a keyset whose primary key has come of age. Returns the new key's id, or None."""
        with self._files.changing(name) as change:
            due = change.meta.rotation_due()
            if due is None or due > clock.now():
                return None
            return self._rotate(change)

    def disable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Nothing is encrypted or decrypted under this key until it is enabled again."""
        with self._files.changing(name) as change:
            self._set_status(change, key_id, tink_pb2.DISABLED, "disabled")
        return self.keys(name)

    def enable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Undoes `disable`."""
        with self._files.changing(name) as change:
            self._set_status(change, key_id, tink_pb2.ENABLED, "enabled")
        return self.keys(name)

    def destroy(self, name: str, key_id: int, *, force: bool = False) -> list[KeyInfo]:
        """Removes the key's bytes for good; what is encrypted under it can never be read again.

        Refuses a key that a recorded dataset or training run needs, unless `force`.
        """
        with self._files.changing(name) as change:
            needed = uses(change.meta.key(key_id))
            if needed and not force:
                remedy = (
                    "re-encrypt or delete that first" if any(use.found for use in needed) else "look for it"
                )
                raise KeyStoreError(
                    f"key {key_id} of {name!r} is in use by {', '.join(map(str, needed))}; {remedy}, say that it is "
                    f"gone (lpe keys forget {name} PLACE), or pass --force to lose it"
                )
            self._set_status(change, key_id, tink_pb2.DESTROYED, "destroyed", forced=bool(needed))
        return self.keys(name)

    def destroy_unused(self, name: str) -> list[int]:
        """Destroys the keys that datasets were encrypted under and that nothing needs any more.

        Never the primary key, nor one that no dataset was recorded for: something else may use it.
        What is recorded and cannot be found counts as needed. The check and the destruction are one step
        under the store's lock, which recording a use takes too.

        Returns:
          The ids of the destroyed keys.
        """
        with self._files.changing(name) as change:
            unused = _unused(change, lambda use: False)
            for key_id in unused:
                self._set_status(change, key_id, tink_pb2.DESTROYED, "destroyed", forced=False)
        return unused

    def would_destroy(self, name: str, without: Callable[[Use], bool], *, rotated: bool) -> list[int]:
        """The keys that `destroy_unused` would destroy if some uses were gone; changes nothing.

        Args:
          name: the keyset.
          without: picks the uses that are taken to be gone.
          rotated: as if the keyset had been rotated, so that its primary key were an old one.
        """
        opened = self._files.read(name)
        if rotated:
            opened.keyset.primary_key_id = 0
        return _unused(opened, without)

    def open(self, name: str, key_id: int | None = None) -> DatasetKey:
        """The key with this id, or the primary one."""
        opened = self._files.read(name)
        wanted = opened.keyset.primary_key_id if key_id is None else key_id
        opened.check_enabled(wanted)
        return DatasetKey(name, wanted, keysets.primitive(opened.keyset).all()[wanted])

    def audit_log(self, name: str) -> AuditTrail:
        """A keyset's audit trail, checked: the chain of its lines, and that it explains every key's state."""
        opened = self._files.read(name)
        log = self._files.audit_log(name)
        problems = log.problems(opened.meta.log)
        kek = kek_problem(opened.meta.kek, log)
        if kek is not None:
            problems.append(kek)
        problems += [
            contradiction(key_id, state, log) for key_id, state in unexplained(opened.keyset, log).items()
        ]
        return AuditTrail(tuple(log.events), tuple(problems), log.head.hash)

    def accept(self, name: str) -> None:
        """Logs the keys, of which the audit log says something else, as they are: the owner knows why.

        Without that, such a keyset cannot be changed, nor anything encrypted under it.
        """
        with self._files.changing(name, accept=True):
            pass

    def _rotate(self, change: Change) -> int:
        key = keysets.new_key(taken={old.key_id for old in change.keyset.key})
        before = change.keyset.primary_key_id
        change.keyset.key.append(key)
        change.keyset.primary_key_id = key.key_id
        self._files.write(change, "rotated", key.key_id, before=before)
        new_id: int = key.key_id
        return new_id

    def _set_status(self, change: Change, key_id: int, status: int, event: str, **details: object) -> None:
        key = change.find(key_id)
        if key.status == tink_pb2.DESTROYED:
            raise KeyStoreError(
                f"key {key_id} of keyset {change.name!r} in {self.uri} is destroyed, for good"
            )
        if key_id == change.keyset.primary_key_id and status != tink_pb2.ENABLED:
            raise KeyStoreError(
                f"key {key_id} of {change.name!r} is the primary one; rotate first: lpe keys rotate {change.name}"
            )
        key.status = status
        if status == tink_pb2.DESTROYED:
            key.ClearField("key_data")
        self._files.write(change, event, key_id, **details)
        if status == tink_pb2.DESTROYED:
            delete_names(self.uri, change.name, key_id)
            delete_encoders(self.uri, change.name, key_id)


def _unused(opened: OpenKeyset, without: Callable[[Use], bool]) -> list[int]:
    """The old keys that were used and have no use left but those that `without` picks."""
    return [
        key.key_id
        for key in opened.keyset.key
        if key.status != tink_pb2.DESTROYED
        and key.key_id != opened.keyset.primary_key_id
        and opened.meta.key(key.key_id).used
        and all(without(use) for use in uses(opened.meta.key(key.key_id)))
    ]
