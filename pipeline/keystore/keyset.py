"""A Tink keyset of HKDF-SHA256 PRF keys: made, and kept in a file under a key-encryption key.

The keyset's name is bound to the ciphertext as associated data: a file cannot be passed off as another.
"""

from __future__ import annotations

from typing import Literal

import tink
from tink import json_proto_keyset_format, prf, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from lpe.pipeline import storage
from lpe.pipeline.keystore.kek_service import Kek
from lpe.transforms import labels
from lpe.transforms.errors import KeyStoreError

State = Literal["enabled", "disabled", "destroyed"]
"""The state of a key. A destroyed one has an id and no bytes."""

STATES: dict[int, State] = {
    tink_pb2.ENABLED: "enabled",
    tink_pb2.DISABLED: "disabled",
    tink_pb2.DESTROYED: "destroyed",
}
"""Our words for Tink's key states."""


def new_key(taken: set[int]) -> tink_pb2.Keyset.Key:
    """Makes a fresh HKDF-SHA256 PRF key whose id is none of `taken`."""
    prf.register()
    while True:
        handle = tink.new_keyset_handle(prf.prf_key_templates.HKDF_SHA256)
        clear = proto_keyset_format.serialize(handle, secret_key_access.TOKEN)
        key = tink_pb2.Keyset.FromString(clear).key[0]
        if key.key_id not in taken:
            return key


def primitive(keyset: tink_pb2.Keyset) -> prf.PrfSet:
    """The pseudo-random functions of the enabled keys, by key id."""
    prf.register()
    return _to_handle(keyset).primitive(prf.PrfSet)


def read_keyset(path: str, name: str, kek: Kek) -> tink_pb2.Keyset:
    """Reads and unwraps a keyset.

    Args:
      path: its file.
      name: its name.
      kek: its key-encryption key.

    Raises:
      KeyStoreError: it is damaged, renamed, of another key-encryption key or another purpose.
    """
    try:
        handle = json_proto_keyset_format.parse_encrypted(
            storage.read_bytes(path).decode(), kek, labels.keyset(name)
        )
        keyset = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    except (tink.TinkError, UnicodeDecodeError) as error:
        raise KeyStoreError(
            f"{path}: cannot be opened with its key-encryption key: it was damaged, renamed, or wrapped by another "
            "one; restore it from your copy"
        ) from error
    try:
        primitive(keyset)
    except tink.TinkError as error:
        raise KeyStoreError(
            f"{path}: a keyset of another purpose, not of PRF keys as lpe makes them; name another keyset"
        ) from error
    return keyset


def wrap(name: str, keyset: tink_pb2.Keyset, kek: Kek) -> bytes:
    """Wraps a keyset.

    Returns:
      The content of its file.

    Raises:
      KeyStoreError: the key-encryption key refuses, or gives what it cannot open again.
    """
    try:
        text: str = json_proto_keyset_format.serialize_encrypted(_to_handle(keyset), kek, labels.keyset(name))
    except tink.TinkError as error:
        raise KeyStoreError(
            f"keyset {name!r}: its key-encryption key gave what it cannot open again; nothing was changed: check the "
            "key service"
        ) from error
    return text.encode()


def _to_handle(keyset: tink_pb2.Keyset) -> tink.KeysetHandle:
    return proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
