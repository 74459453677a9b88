"""The keys of a key store: created, rotated, disabled, destroyed, opened."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from tink.proto import tink_pb2

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore import keyset as keysets
from lpe.pipeline.keystore.auditlog import AuditTrail, key_states
from lpe.pipeline.keystore.files import Change, KeysetFiles
from lpe.pipeline.keystore.kek import create_local_kek
from lpe.pipeline.keystore.key import DatasetKey
from lpe.pipeline.keystore.keyset import STATES, State
from lpe.pipeline.keystore.metadata import Metadata
from lpe.pipeline.keystore.uses import Use, uses
from lpe.transforms.errors import KeyStoreError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KEK_FILE = "kek.json"


@dataclasses.dataclass(frozen=True)
class KeyInfo:
    """One key of a keyset: its id, state, whether new datasets use it, and when it was made (ISO 8601)."""

    id: int
    state: State
    primary: bool
    created: str | None


class KeyStore(KeysetFiles):
    """The keys of the keysets in one directory; see `KeysetFiles`."""

    def create(self, name: str, kek: str | None = None, rotation_period: str | None = None) -> list[KeyInfo]:
        """Makes a keyset with one primary key.

        Args:
          name: letters, digits, - and _.
          kek: URI of the key-encryption key; a local file is made if absent. Default: kek.json here.
          rotation_period: how old a primary key may become, e.g. `30d`.

        Raises:
          UsageError: the period is none.
        """
        if not _NAME.fullmatch(name) or f"{name}.json" == _KEK_FILE:
            raise KeyStoreError(
                f"{name!r} cannot name a keyset: use letters, digits, - and _ (and not 'kek')"
            )
        if rotation_period is not None:
            clock.parse_period(rotation_period)
        with self.locked() as lock:
            if self.exists(name):
                raise KeyStoreError(
                    f"{self.keyset_path(name)}: this keyset exists; choose another name or rotate this one"
                )
            # The default is relative, so that the folder can be moved as a whole.
            uri = _KEK_FILE if kek is None else storage.absolute(kek)
            place = self.kek_path(uri)
            if storage.is_remote(self.uri) and kek is None:
                raise KeyStoreError(
                    f"{self.uri}: a remote key store must not hold its own key-encryption key; name one with --kek, "
                    "e.g. a key of your cloud's key service"
                )
            if not storage.is_remote(place) and not storage.exists(place):
                create_local_kek(place)
            key = keysets.new_key(taken=set())
            meta = Metadata(uri, rotation_period)
            keyset = tink_pb2.Keyset(primary_key_id=key.key_id, key=[key])
            change = Change(name, keyset, meta, self.audit_file(name), lock)
            self.write(change, "created", key.key_id, kek=uri)
        return self.keys(name)

    def keys(self, name: str) -> list[KeyInfo]:
        """The keys of a keyset, oldest first."""
        keyset, meta = self.read(name)
        return [
            KeyInfo(
                key.key_id,
                STATES[key.status],
                key.key_id == keyset.primary_key_id,
                meta.keys[key.key_id].created if key.key_id in meta.keys else None,
            )
            for key in keyset.key
        ]

    def rotate(self, name: str, rotation_period: str | None = None) -> list[KeyInfo]:
        """Adds a key and makes it primary; the others stay as they are.

        Args:
          rotation_period: from now on, how old a primary key may become. Default: as before.
        """
        if rotation_period is not None:
            clock.parse_period(rotation_period)
        with self.changing(name) as change:
            change.meta.rotation_period = rotation_period or change.meta.rotation_period
            self._rotate(change)
        return self.keys(name)

    def rotate_if_due(self, name: str) -> int | None:
        """Rotates a keyset whose primary key has come of age. Returns the new key's id, or None."""
        with self.changing(name) as change:
            due = change.meta.rotation_due()
            if due is None or due > clock.now():
                return None
            return self._rotate(change)

    def disable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Nothing is encrypted or decrypted under this key until it is enabled again."""
        with self.changing(name) as change:
            self._set_status(change, key_id, tink_pb2.DISABLED, "disabled")
        return self.keys(name)

    def enable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Undoes `disable`."""
        with self.changing(name) as change:
            self._set_status(change, key_id, tink_pb2.ENABLED, "enabled")
        return self.keys(name)

    def destroy(self, name: str, key_id: int, *, force: bool = False) -> list[KeyInfo]:
        """Removes the key's bytes for good; what is encrypted under it can never be read again.

        Refuses a key that a recorded dataset or training run needs, unless `force`.
        """
        with self.changing(name) as change:
            needed = uses(key_id, change.meta.key(key_id))
            if needed and not force:
                remedy = (
                    "re-encrypt or delete that first" if any(use.found for use in needed) else "look for it"
                )
                raise KeyStoreError(
                    f"key {key_id} of {name!r} is in use by {', '.join(map(str, needed))}; {remedy}, say that it is "
                    f"gone (lpe keys release {name} PLACE), or pass --force to lose it"
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
        with self.changing(name) as change:
            unused = _unused(change.keyset, change.meta, lambda use: False)
            for key_id in unused:
                self._set_status(change, key_id, tink_pb2.DESTROYED, "destroyed", forced=False)
        return unused

    def would_destroy(self, name: str, without: Callable[[Use], bool], *, rotated: bool) -> list[int]:
        """The keys that `destroy_unused` would destroy if the uses that `without` picks were gone.

        Args:
          rotated: as if the keyset had been rotated, so that its primary key were an old one.
        """
        keyset, meta = self.read(name)
        if rotated:
            keyset.primary_key_id = 0
        return _unused(keyset, meta, without)

    def open(self, name: str, key_id: int | None = None) -> DatasetKey:
        """The key with this id, or the primary one."""
        keyset, _ = self.read(name)
        wanted = keyset.primary_key_id if key_id is None else key_id
        self.check_enabled(keyset, name, wanted)
        return DatasetKey(name, wanted, keysets.primitive(keyset).all()[wanted])

    def audit_log(self, name: str) -> AuditTrail:
        """The audit trail, oldest first; what is wrong with it (a broken chain, an unlogged key); its last hash."""
        keyset, meta = self.read(name)
        log = self.audit_file(name)
        problems = log.problems(meta.log)
        logged = key_states(log.events)
        for key in keyset.key:
            state, said = STATES[key.status], logged.get(key.key_id, "nothing")
            if said != state:
                problems.append(f"key {key.key_id} is {state} and the log says {said}")
        return AuditTrail(tuple(log.events), tuple(problems), log.head.hash)

    def _rotate(self, change: Change) -> int:
        key = keysets.new_key(taken={old.key_id for old in change.keyset.key})
        before = change.keyset.primary_key_id
        change.keyset.key.append(key)
        change.keyset.primary_key_id = key.key_id
        self.write(change, "rotated", key.key_id, before=before)
        return key.key_id

    def _set_status(self, change: Change, key_id: int, status: int, event: str, **details: object) -> None:
        key = self.find(change.keyset, change.name, key_id)
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
        self.write(change, event, key_id, **details)


@dataclasses.dataclass(frozen=True)
class KeyRef:
    """Names a key without holding it; pipelines carry this and open it in `setup()`.

    Attributes:
      keystore: the key store's URI.
      name: the keyset.
      id: the key; None for the keyset's primary one.
    """

    keystore: str
    name: str
    id: int | None = None

    def open(self) -> DatasetKey:
        """Fetches the key. Raises KeyStoreError."""
        return KeyStore(self.keystore).open(self.name, self.id)


def _unused(keyset: tink_pb2.Keyset, meta: Metadata, without: Callable[[Use], bool]) -> list[int]:
    return [
        key.key_id
        for key in keyset.key
        if key.status != tink_pb2.DESTROYED
        and key.key_id != keyset.primary_key_id
        and meta.key(key.key_id).used
        and all(without(use) for use in uses(key.key_id, meta.key(key.key_id)))
    ]
