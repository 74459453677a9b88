"""Key-encryption keys: what wraps a keyset at rest, named by URI."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import tink
from tink import aead, cleartext_keyset_handle

from pipeline import storage
from transforms.errors import KeyStoreError


def open_kek(uri: str) -> aead.Aead:
    """The AEAD that wraps keysets.

    Args:
      uri: the path of a local KEK file, made by `create_local_kek`.

    Raises:
      KeyStoreError: the file is missing, damaged, or can be read by others than its owner.
    """
    _refuse_unknown(uri)
    path = Path(uri)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyStoreError(f"{uri}: others than its owner may access this key file; run chmod 600 {uri}")
        text = path.read_text()
    except FileNotFoundError:
        raise KeyStoreError(
            f"{uri}: the key-encryption key is missing; restore it from your copy (without it the keysets "
            "cannot be opened)"
        ) from None
    except OSError as error:
        raise KeyStoreError(f"{uri}: {error.strerror}; make it readable for you alone") from error
    aead.register()
    try:
        handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(text))
        return handle.primitive(aead.Aead)
    except Exception:  # Tink raises its own error, protobuf's and ValueError
        # The parser's own words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(
            f"{uri}: not a key-encryption key that Tink can read; restore it from your copy"
        ) from None


def create_local_kek(path: str) -> None:
    """Writes a new AES-256-GCM keyset, in clear, to a file that only its owner can read."""
    _refuse_unknown(path)
    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    text = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(text), handle)
    storage.write_atomic(path, text.getvalue().encode(), private=True)


def _refuse_unknown(uri: str) -> None:
    if storage.is_remote(uri):
        raise KeyStoreError(f"{uri}: this kind of key-encryption key is not supported; name a local file")
