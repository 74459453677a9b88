"""Keysets at a URI: created, rotated, disabled, destroyed, opened.

A keyset NAME is two files: `NAME.json`, Tink's encrypted keyset of HKDF-SHA256 PRF keys (the name
is bound to it as associated data), and `NAME.meta.json`, what Tink's format has no place for:
which KEK wraps it, when each key was made, which datasets were encrypted under it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import tink
from tink import json_proto_keyset_format, prf, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from pipeline import storage
from pipeline.dataset import INFO_FILE
from pipeline.keystore.kek import create_local_kek, open_kek
from pipeline.keystore.key import DatasetKey
from transforms.errors import KeyStoreError

State = Literal["enabled", "disabled", "destroyed"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KEK_FILE = "kek.json"
_STATES: dict[int, State] = {
    tink_pb2.ENABLED: "enabled",
    tink_pb2.DISABLED: "disabled",
    tink_pb2.DESTROYED: "destroyed",
}


@dataclasses.dataclass(frozen=True)
class KeyInfo:
    """One key of a keyset: its id, state, whether new datasets use it, and when it was made (ISO 8601)."""

    id: int
    state: State
    primary: bool
    created: str | None


class KeyStore:
    """The keysets in one directory.

    Args:
      uri: the directory.

    All methods raise KeyStoreError, whose message says what is wrong with which file.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def names(self) -> list[str]:
        """The keysets here."""
        suffix = ".meta.json"
        return [n[: -len(suffix)] for n in storage.list_names(self.uri) if n.endswith(suffix)]

    def exists(self, name: str) -> bool:
        return storage.exists(self._path(name))

    def create(self, name: str, kek: str | None = None) -> list[KeyInfo]:
        """Makes a keyset with one primary key, wrapped by the KEK at `kek` (a local one is made if absent)."""
        if not _NAME.fullmatch(name) or f"{name}.json" == _KEK_FILE:
            raise KeyStoreError(
                f"{name!r} cannot name a keyset: use letters, digits, - and _ (and not 'kek')"
            )
        with self._locked():
            if self.exists(name):
                raise KeyStoreError(
                    f"{self._path(name)}: this keyset exists; choose another name or rotate this one"
                )
            # The default is relative, so that the folder can be moved as a whole.
            uri = _KEK_FILE if kek is None else kek if storage.is_remote(kek) else str(Path(kek).resolve())
            if not storage.is_remote(self._kek_path(uri)) and not storage.exists(self._kek_path(uri)):
                create_local_kek(self._kek_path(uri))
            key = _new_key(taken=set())
            keyset = tink_pb2.Keyset(primary_key_id=key.key_id, key=[key])
            meta = {"format_version": 1, "kek": uri, "created": {str(key.key_id): _now()}, "datasets": {}}
            self._write(name, keyset, meta)
        return self.keys(name)

    def keys(self, name: str) -> list[KeyInfo]:
        """The keys of a keyset, oldest first."""
        keyset, meta = self._read(name)
        created: dict[str, str] = meta.get("created", {})
        return [
            KeyInfo(
                key.key_id,
                _STATES[key.status],
                key.key_id == keyset.primary_key_id,
                created.get(str(key.key_id)),
            )
            for key in keyset.key
        ]

    def rotate(self, name: str) -> list[KeyInfo]:
        """Adds a key and makes it primary; the others stay as they are."""
        with self._locked():
            keyset, meta = self._read(name)
            key = _new_key(taken={old.key_id for old in keyset.key})
            keyset.key.append(key)
            keyset.primary_key_id = key.key_id
            meta.setdefault("created", {})[str(key.key_id)] = _now()
            self._write(name, keyset, meta)
        return self.keys(name)

    def disable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Nothing is encrypted or decrypted under this key until it is enabled again."""
        return self._set_status(name, key_id, tink_pb2.DISABLED)

    def enable(self, name: str, key_id: int) -> list[KeyInfo]:
        """Undoes `disable`."""
        return self._set_status(name, key_id, tink_pb2.ENABLED)

    def destroy(self, name: str, key_id: int, *, force: bool = False) -> list[KeyInfo]:
        """Removes the key's bytes for good; what is encrypted under it can never be read again.

        Refuses a key that a dataset which still exists was encrypted under, unless `force`.
        """
        used_by = self.datasets_under(name, key_id)
        if used_by and not force:
            raise KeyStoreError(
                f"key {key_id} of {name!r} is in use by {', '.join(used_by)}; re-encrypt or delete that first, or "
                "pass --force to lose it"
            )
        return self._set_status(name, key_id, tink_pb2.DESTROYED)

    def open(self, name: str, key_id: int | None = None) -> DatasetKey:
        """The key with this id, or the primary one."""
        keyset, _ = self._read(name)
        wanted = keyset.primary_key_id if key_id is None else key_id
        key = self._find(keyset, name, wanted)
        if key.status != tink_pb2.ENABLED:
            state = _STATES[key.status]
            remedy = "enable it" if state == "disabled" else "data under it cannot be read any more"
            raise KeyStoreError(f"key {wanted} of keyset {name!r} in {self.uri} is {state}; {remedy}")
        prfs = _to_handle(keyset).primitive(prf.PrfSet)
        return DatasetKey(name, wanted, prfs.all()[wanted])

    def record_dataset(self, name: str, key_id: int, directory: str) -> None:
        """Remembers that the dataset version in `directory` needs this key."""
        place = directory if storage.is_remote(directory) else str(Path(directory).resolve())
        with self._locked():
            _, meta = self._read(name)
            users: list[str] = meta.setdefault("datasets", {}).setdefault(str(key_id), [])
            if place not in users:
                users.append(place)
                self._write_meta(name, meta)

    def datasets_under(self, name: str, key_id: int) -> list[str]:
        """The recorded dataset versions that need this key and still exist."""
        _, meta = self._read(name)
        recorded: list[str] = meta.get("datasets", {}).get(str(key_id), [])
        return [place for place in recorded if storage.exists(storage.join(place, INFO_FILE))]

    def _set_status(self, name: str, key_id: int, status: int) -> list[KeyInfo]:
        with self._locked():
            keyset, meta = self._read(name)
            key = self._find(keyset, name, key_id)
            if key.status == tink_pb2.DESTROYED:
                raise KeyStoreError(f"key {key_id} of keyset {name!r} in {self.uri} is destroyed, for good")
            if key_id == keyset.primary_key_id and status != tink_pb2.ENABLED:
                raise KeyStoreError(
                    f"key {key_id} of {name!r} is the primary one; rotate first: lpe keys rotate {name}"
                )
            key.status = status
            if status == tink_pb2.DESTROYED:
                key.ClearField("key_data")
            self._write(name, keyset, meta)
        return self.keys(name)

    def _find(self, keyset: tink_pb2.Keyset, name: str, key_id: int) -> tink_pb2.Keyset.Key:
        for key in keyset.key:
            if key.key_id == key_id:
                return key
        raise KeyStoreError(
            f"keyset {name!r} in {self.uri} has no key {key_id}: it may be another keyset of the same name; use the "
            "key store that the data was encrypted with"
        )

    def _path(self, name: str) -> str:
        return storage.join(self.uri, f"{name}.json")

    def _kek_path(self, uri: str) -> str:
        return uri if storage.is_remote(uri) or Path(uri).is_absolute() else storage.join(self.uri, uri)

    def _read(self, name: str) -> tuple[tink_pb2.Keyset, dict[str, Any]]:
        path = self._path(name)
        if not self.exists(name):
            known = ", ".join(self.names()) or "none"
            raise KeyStoreError(
                f"{path}: no such keyset (here: {known}); make it with lpe keys create {name} --keystore {self.uri}"
            )
        meta = self._read_meta(name)
        kek = open_kek(self._kek_path(meta["kek"]))
        prf.register()
        try:
            handle = json_proto_keyset_format.parse_encrypted(
                storage.read_bytes(path).decode(), kek, _associated_data(name)
            )
            handle.primitive(prf.PrfSet)
            clear = proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
        except (tink.TinkError, UnicodeDecodeError) as error:
            raise KeyStoreError(
                f"{path}: cannot be opened with the key-encryption key {meta['kek']}: it was damaged, renamed, or "
                "wrapped by another one; restore it from your copy"
            ) from error
        return tink_pb2.Keyset.FromString(clear), meta

    def _read_meta(self, name: str) -> dict[str, Any]:
        path = storage.join(self.uri, f"{name}.meta.json")
        try:
            meta = json.loads(storage.read_bytes(path))
            if not isinstance(meta, dict) or not isinstance(meta.get("kek"), str):
                raise ValueError("no kek")
        except FileNotFoundError:
            raise KeyStoreError(f"{path}: missing; restore it from your copy") from None
        except ValueError as error:
            raise KeyStoreError(f"{path}: damaged ({error}); restore it from your copy") from error
        return meta

    def _write(self, name: str, keyset: tink_pb2.Keyset, meta: dict[str, Any]) -> None:
        kek = open_kek(self._kek_path(meta["kek"]))
        text = json_proto_keyset_format.serialize_encrypted(_to_handle(keyset), kek, _associated_data(name))
        # First the metadata, whose extra entries do no harm without the keyset's.
        self._write_meta(name, meta)
        storage.write_atomic(self._path(name), text.encode(), private=True)

    def _write_meta(self, name: str, meta: dict[str, Any]) -> None:
        text = json.dumps(meta, indent=2) + "\n"
        storage.write_atomic(storage.join(self.uri, f"{name}.meta.json"), text.encode(), private=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the store's lock: one change at a time."""
        if storage.is_remote(self.uri):
            yield
            return
        Path(self.uri).mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(Path(self.uri) / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


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


def _new_key(taken: set[int]) -> tink_pb2.Keyset.Key:
    prf.register()
    while True:
        handle = tink.new_keyset_handle(prf.prf_key_templates.HKDF_SHA256)
        clear = proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
        key = tink_pb2.Keyset.FromString(clear).key[0]
        if key.key_id not in taken:
            return key


def _to_handle(keyset: tink_pb2.Keyset) -> tink.KeysetHandle:
    return proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)


def _associated_data(name: str) -> bytes:
    return f"lpe/v1/keyset/{name}".encode()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
