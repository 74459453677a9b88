"""Key-encryption keys, which wrap keysets at rest, named by URI: a local file, or a key in a key service."""

from __future__ import annotations

import io
import os
from pathlib import Path

import tink
from tink import aead, cleartext_keyset_handle

from lpe.pipeline import storage
from lpe.pipeline.keystore.kek_service import SERVICES, Kek, ServiceKek
from lpe.pipeline.keystore.reading import read_file
from lpe.pipeline.storage import locks
from lpe.transforms.errors import KeyStoreError, one_line

PIN = "LPE_KEK"
"""The environment variable that names the only key-encryption key that this process may use."""
_LOCK_WAIT = 30.0  # seconds; making a key takes a fraction of one


def open_kek(uri: str) -> Kek:
    """Opens a key-encryption key.

    Args:
      uri: the path of a local KEK file, made by `create_local_kek`, or a key in a service: see `Service.form`.

    Raises:
      KeyStoreError: the file is missing, damaged, or can be read by others than its owner; the URI is of no
        known form; the service's client or its credentials are missing. The methods of a service's key raise it
        too, for whatever the service refuses: see `ServiceKek`.
    """
    if not storage.is_remote(uri):
        return _open_local(uri)
    service = SERVICES.get(uri.partition("://")[0])
    if service is None:
        forms = ", ".join(known.form for known in SERVICES.values())
        raise KeyStoreError(
            f"{uri}: no known kind of key-encryption key; name a local file or one of {forms}"
        )
    if not service.pattern.fullmatch(uri):
        raise KeyStoreError(f"{one_line(uri)}: malformed; a key of this kind is named {service.form}")
    return ServiceKek(service, uri)


def create_local_kek(path: str) -> None:
    """Writes a new AES-256-GCM keyset, in clear, to a file that only its owner can read, unless there is one.

    Args:
      path: the file.

    Raises:
      KeyStoreError: the path looks like the mistyped URI of a key in a service.
      BusyError: another process is making it.
    """
    for name, service in SERVICES.items():
        if any(part.startswith(f"{name}:") for part in Path(path).parts):
            raise KeyStoreError(f"{path}: names a local file; a key in a service is named {service.form}")
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Of two key stores that make it at once, both must use what the first has made.
    lock = str(file.with_name(f".{file.name}.lock"))
    with locks.held(lock, f"key-encryption key {path}", wait=_LOCK_WAIT, remove=True):
        storage.delete_temporary_files(str(file.parent), file.name)
        if not storage.exists(path):
            storage.write_atomic(path, _new_local_kek(), private=True)


def check_pinned(uri: str) -> None:
    """Raises KeyStoreError if this process is to use another key-encryption key alone: see `PIN`."""
    pinned = os.environ.get(PIN)
    if pinned and storage.absolute(pinned) != storage.absolute(uri):
        raise KeyStoreError(
            f"{one_line(uri)}: not the key-encryption key that {PIN} names ({one_line(pinned)}); if nobody has changed "
            f"the key store, change {PIN}"
        )


def _new_local_kek() -> bytes:
    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    text = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(text), handle)
    return text.getvalue().encode()


def _open_local(uri: str) -> Kek:
    try:
        storage.check_private(uri)
        for file in (Path(uri), Path(uri).resolve()):  # it may be a link
            storage.check_unchangeable(str(file.parent))
        content = read_file(uri)
    except FileNotFoundError:
        raise KeyStoreError(
            f"{uri}: the key-encryption key is missing; restore it from your copy (without it the keysets "
            "cannot be opened)"
        ) from None
    except OSError as error:
        raise KeyStoreError(f"{uri}: {error.strerror}; make it readable for you alone") from error
    aead.register()
    try:
        handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(content.decode()))
        kek: Kek = handle.primitive(aead.Aead)
    except Exception:  # Tink raises its own error, protobuf's and ValueError
        # The parser's own words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(
            f"{uri}: not a key-encryption key that Tink can read; restore it from your copy"
        ) from None
    return kek
