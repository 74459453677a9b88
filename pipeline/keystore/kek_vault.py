"""Key-encryption keys in the transit engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
import tink
from hvac import exceptions
from requests.adapters import HTTPAdapter
from tink.integration import hcvault

from lpe.pipeline.keystore import kek_service
from lpe.pipeline.keystore.kek_service import LATER, TRIES, Kek, on_this_machine
from lpe.transforms.errors import KeyStoreError, one_line

_DIGEST_BYTES = hashlib.sha256().digest_size
_CIPHERTEXT = (
    "authentication failed",
    "invalid ciphertext",
    "missing ciphertext",
    "invalid base64",
    "unable to decode",
)


def connect(uri: str) -> Kek:
    """The key with this URI, see `Service.module`. Raises what the client raises."""
    address = urlsplit(uri)
    host = address.hostname or ""
    session = requests.Session()
    session.trust_env = not on_this_machine(host)  # a proxy would see what is to stay on this machine
    session.verify = os.environ.get("VAULT_CACERT") or True
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=TRIES - 1))  # of connections alone
    client = hvac.Client(
        url=f"{_scheme(address.netloc, host)}://{address.netloc}",
        token=_token(),
        namespace=os.environ.get("VAULT_NAMESPACE") or None,
        timeout=kek_service.SECONDS,
        session=session,
    )
    mount, name = address.path.strip("/").rsplit("/keys/", 1)
    return _Bound(hcvault.new_aead(address.path, client), client, mount, name)


def _token() -> str:
    token = os.environ.get("VAULT_TOKEN", "").strip()
    if not token:
        try:
            token = Path("~/.vault-token").expanduser().read_text().strip()
        except (OSError, RuntimeError):
            token = ""
    if not token:
        raise KeyStoreError("no credentials; set VAULT_TOKEN, or log in (vault login, bao login)")
    return token


def _scheme(netloc: str, host: str) -> str:
    """https, unless VAULT_ADDR names this very server with http or the connection stays on this machine."""
    address = urlsplit(os.environ.get("VAULT_ADDR", ""))
    if address.netloc == netloc and address.scheme in {"http", "https"}:
        return address.scheme
    return "http" if on_this_machine(host) else "https"


class _Bound:
    """Binds associated data to what Vault wraps.

    Tink's integration admits no associated data, since hvac has no way to send it; a keyset would then open
    under any other's name. So SHA-256 of the associated data is wrapped with the keyset, under the same
    authentication, and compared after unwrapping.
    """

    def __init__(self, inner: Kek, client: Any, mount: str, name: str) -> None:
        self._inner, self._client, self._mount, self._name = inner, client, mount, name

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        self._check_exists()
        return self._inner.encrypt(hashlib.sha256(associated_data).digest() + plaintext, b"")

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        clear = self._inner.decrypt(ciphertext, b"")
        if not hmac.compare_digest(clear[:_DIGEST_BYTES], hashlib.sha256(associated_data).digest()):
            raise tink.TinkError(_OtherNameError())
        return clear[_DIGEST_BYTES:]

    def _check_exists(self) -> None:
        """Raises unless the key exists: asked to encrypt, Vault would make one of a mistyped name."""
        try:
            self._client.secrets.transit.read_key(name=self._name, mount_point=self._mount)
        except exceptions.Forbidden:
            return  # a policy may allow update alone, as it should: Vault then refuses to make one


class _OtherNameError(Exception):
    """The associated data is not that which was wrapped."""


def explain(error: Exception) -> str | None:
    """The meaning of an error of the client, see `Service.module`."""
    detail = one_line(error).partition(", on ")[0]  # what follows is the request
    if isinstance(error, _OtherNameError | UnicodeDecodeError):
        return None
    if isinstance(error, exceptions.InvalidPath) or "key not found" in detail:
        return "Vault has no such key or transit engine; check the URI and VAULT_NAMESPACE, or make it (vault write -f)"
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return (
            f"no permission ({detail}); check that the token is valid, that its policy allows update on the engine's "
            "encrypt/ and decrypt/ paths of this key, and VAULT_NAMESPACE"
        )
    if isinstance(error, exceptions.InvalidRequest):
        if any(text in detail for text in _CIPHERTEXT):
            return None
        if "disallowed by policy" in detail or "soft-deleted" in detail or "soft deleted" in detail:
            return f"this key, or the version that is needed, is disabled ({detail}); allow it (min_decryption_version)"
        return f"Vault refuses ({detail}); name a key of type aes256-gcm96 that is not derived"
    if isinstance(error, exceptions.VaultDown):
        return f"Vault is sealed or down ({detail}); unseal it and try again"
    if isinstance(error, requests.exceptions.SSLError):
        return "Vault shows no certificate that this machine trusts; check VAULT_CACERT and VAULT_ADDR"
    if isinstance(error, requests.RequestException):
        return f"Vault cannot be reached ({type(error).__name__}); check the host, the port and the network"
    if isinstance(error, exceptions.VaultError):
        return f"Vault fails at the moment ({detail}); {LATER}"
    return f"Vault's client cannot be used ({detail}); check VAULT_ADDR and VAULT_CACERT"
