"""Key-encryption keys, which wrap keysets at rest, named by URI: a local file, or a key in a key service."""

from __future__ import annotations

import io
from pathlib import Path

import tink
from tink import aead, cleartext_keyset_handle

from lpe.pipeline import storage
from lpe.pipeline.keystore.kek_aws import AWS_KMS
from lpe.pipeline.keystore.kek_gcp import GCP_KMS
from lpe.pipeline.keystore.kek_service import Kek, ServiceKek, one_line
from lpe.pipeline.keystore.kek_vault import VAULT
from lpe.transforms.errors import KeyStoreError

_SERVICES = {"aws-kms": AWS_KMS, "gcp-kms": GCP_KMS, "hcvault": VAULT}


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
    service = _SERVICES.get(uri.partition("://")[0])
    if service is None:
        forms = ", ".join(known.form for known in _SERVICES.values())
        raise KeyStoreError(
            f"{uri}: no known kind of key-encryption key; name a local file or one of {forms}"
        )
    if not service.pattern.fullmatch(uri):
        raise KeyStoreError(f"{one_line(uri)}: malformed; a key of this kind is named {service.form}")
    return ServiceKek(service, uri)


def create_local_kek(path: str) -> None:
    """Writes a new AES-256-GCM keyset, in clear, to a file that only its owner can read.

    Args:
      path: the file; replaced if it exists.

    Raises:
      KeyStoreError: the path looks like the mistyped URI of a key in a service.
    """
    for name, service in _SERVICES.items():
        if any(part.startswith(f"{name}:") for part in Path(path).parts):
            raise KeyStoreError(f"{path}: names a local file; a key in a service is named {service.form}")
    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    text = io.StringIO()
    cleartext_keyset_handle.write(tink.JsonKeysetWriter(text), handle)
    storage.write_atomic(path, text.getvalue().encode(), private=True)


def _open_local(uri: str) -> Kek:
    path = Path(uri)
    try:
        storage.check_private(uri)
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
        kek: Kek = handle.primitive(aead.Aead)
    except Exception:  # Tink raises its own error, protobuf's and ValueError
        # The parser's own words may quote the file, which is a secret: they are not repeated.
        raise KeyStoreError(
            f"{uri}: not a key-encryption key that Tink can read; restore it from your copy"
        ) from None
    return kek
