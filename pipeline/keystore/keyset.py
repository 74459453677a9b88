"""A Tink keyset of HKDF-SHA256 PRF keys: made, and kept in a file under a key-encryption key.

The keyset's name and the URI of its key-encryption key are bound to the ciphertext as associated data: a file cannot
be passed off as another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tink
from tink import json_proto_keyset_format, prf, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from lpe.pipeline.keystore.kek_service import Kek
from lpe.pipeline.keystore.reading import REMEDY, read_file
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


def read_keyset(path: str, contexts: Sequence[bytes], kek: Kek) -> tink_pb2.Keyset:
    """Reads and unwraps a keyset.

    Args:
      path: its file.
      contexts: what it may be bound to, the likely one first.
      kek: its key-encryption key.

    Raises:
      KeyStoreError: it is missing, damaged, renamed, of another key-encryption key or another purpose.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        raise KeyStoreError(f"{path}: missing; {REMEDY}") from None
    for context in contexts:
        keyset = _unwrap(content, context, kek)
        if keyset is not None:
            break
    else:
        raise KeyStoreError(
            f"{path}: cannot be opened with its key-encryption key: it was damaged, renamed, or wrapped by another "
            f"one, or the URI of that was changed; {REMEDY}"
        )
    try:
        primitive(keyset)
        _ = [STATES[key.status] for key in keyset.key]
    except Exception:  # Tink raises its own error and ValueError
        raise KeyStoreError(
            f"{path}: a keyset of another purpose, not of PRF keys as lpe makes them; name another keyset"
        ) from None
    return keyset


def _unwrap(content: bytes, context: bytes, kek: Kek) -> tink_pb2.Keyset | None:
    """The keyset; None if this is none, or does not open. Raises KeyStoreError if the key service fails."""
    try:
        handle = json_proto_keyset_format.parse_encrypted(content.decode(), kek, context)
        return tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    except KeyStoreError:
        raise
    except Exception:  # Tink raises its own error, protobuf's, RecursionError and ValueError
        return None


def wrap(name: str, keyset: tink_pb2.Keyset, context: bytes, kek: Kek) -> bytes:
    """Wraps a keyset.

    Args:
      name: its name, for the message.
      keyset: the keys.
      context: what it is bound to.
      kek: its key-encryption key.

    Returns:
      The content of its file.

    Raises:
      KeyStoreError: the key-encryption key refuses, or gives what it cannot open again.
    """
    try:
        text: str = json_proto_keyset_format.serialize_encrypted(_to_handle(keyset), kek, context)
    except tink.TinkError as error:
        raise KeyStoreError(
            f"keyset {name!r}: its key-encryption key gave what it cannot open again; nothing was changed: check the "
            "key service"
        ) from error
    return text.encode()


def _to_handle(keyset: tink_pb2.Keyset) -> tink.KeysetHandle:
    return proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
