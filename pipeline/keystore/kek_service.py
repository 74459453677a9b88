"""A key-encryption key that never leaves a key service: how services differ is in `kek_aws`, `_gcp`, `_vault`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import NoReturn

import tink
from tink import aead

from transforms.errors import KeyStoreError

# A keyset is opened in `DoFn.setup()` and once a command: waiting long for a service helps nobody.
SECONDS = 5.0  # for a connection, and for an answer
TRIES = 3

LATER = "try again later"


@dataclasses.dataclass(frozen=True)
class Service:
    """A kind of key service.

    Attributes:
      form: what the URI of one of its keys looks like.
      pattern: matches such a URI whole.
      extra: what to install for it.
      connect: makes Tink's AEAD of the key with this URI; asks for no network.
      explain: what an error of the service's client means and what to do about it; None if it may be that the
        ciphertext is invalid or of another key.
    """

    form: str
    pattern: re.Pattern[str]
    extra: str
    connect: Callable[[str], aead.Aead]
    explain: Callable[[Exception], str | None]


class ServiceKek(aead.Aead):
    """Wraps and unwraps by calls to a service; each call is one request.

    Args:
      service: the kind of service.
      uri: names the key; of the service's form.

    Raises:
      KeyStoreError: the service's client is not installed, not configured, or has no credentials. So do the
        methods, and for anything that the service refuses or fails at.
    """

    def __init__(self, service: Service, uri: str) -> None:
        self._service, self._uri = service, uri
        try:
            self._remote = service.connect(uri)
        except ImportError:
            raise KeyStoreError(
                f"{uri}: needs the extra {service.extra}: "
                f"pip install 'learnable-pixel-encryption[{service.extra}]'"
            ) from None
        except Exception as error:
            failure = error
        else:
            return
        self._fail(failure)

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """The wrapped keyset. Raises KeyStoreError."""
        try:
            return self._remote.encrypt(plaintext, associated_data)
        except Exception as error:
            failure = error
        self._fail(failure)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """The keyset. Raises KeyStoreError; TinkError if the ciphertext is invalid or of another key or name."""
        try:
            return self._remote.decrypt(ciphertext, associated_data)
        except Exception as error:
            failure = error
        if not isinstance(failure, KeyStoreError) and self._service.explain(_cause(failure)) is None:
            raise tink.TinkError("the key service says that the ciphertext is invalid, or of another key")
        self._fail(failure)

    def _fail(self, error: Exception) -> NoReturn:
        """Raises ours in its place, without a chain: a client's error may hold the request, and so the keyset."""
        cause = _cause(error)
        said = (
            str(cause)
            if isinstance(cause, KeyStoreError)
            else self._service.explain(cause)
            or f"the key service refuses ({words(cause)}); check the key's kind"
        )
        raise KeyStoreError(f"{self._uri}: {said}") from None


def words(error: object) -> str:
    """The text of an error or an answer, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _cause(error: Exception) -> Exception:
    """What Tink's integrations have wrapped in a TinkError."""
    inner = error.args[0] if isinstance(error, tink.TinkError) and error.args else None
    return inner if isinstance(inner, Exception) else error
