"""Key-encryption keys that never leave a key service; how services differ is in `kek_aws`, `_gcp`, `_vault`."""

from __future__ import annotations

import dataclasses
import importlib
import ipaddress
import re
from typing import NoReturn, Protocol

import tink

from lpe.transforms.errors import KeyStoreError, one_line
from lpe.transforms.extras import install_command

# A keyset is opened in `DoFn.setup()` and once a command: waiting long for a service helps nobody.
SECONDS = 5.0
"""How long to wait for a connection, and for an answer."""
TRIES = 3
"""How often to try."""

LATER = "try again later"
"""The remedy for a passing failure."""


class Kek(Protocol):
    """The AEAD of a key-encryption key, as Tink's `aead.Aead`: it wraps keysets.

    Associated data is authenticated, not encrypted: what is wrapped under a keyset's name unwraps under that name
    only. Implementations are called by one thread at a time and change neither argument.
    """

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Wraps a serialised keyset."""

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """Unwraps it. Raises TinkError if it was changed, or is of another key or associated data."""


@dataclasses.dataclass(frozen=True)
class Service:
    """A kind of key service.

    Attributes:
      form: what the URI of one of its keys looks like.
      pattern: matches such a URI whole.
      extra: what to install for it.
      module: the module that uses the service's client, which the extra brings. It has two functions:
        `connect(uri) -> Kek`, which asks for no network, and `explain(error) -> str | None`: what an error of the
        client means and what to do about it; None if it may be that the ciphertext is invalid or of another key.
    """

    form: str
    pattern: re.Pattern[str]
    extra: str
    module: str


SERVICES = {
    "aws-kms": Service(
        form="aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID",
        pattern=re.compile(r"aws-kms://arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"),
        extra="aws",
        module="lpe.pipeline.keystore.kek_aws",
    ),
    "gcp-kms": Service(
        form="gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K",
        pattern=re.compile(
            r"gcp-kms://projects/[a-z0-9.:-]+/locations/[\w-]{1,63}/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}",
            re.ASCII,
        ),
        extra="gcp",
        module="lpe.pipeline.keystore.kek_gcp",
    ),
    "hcvault": Service(
        form="hcvault://HOST:PORT/transit/keys/NAME",
        pattern=re.compile(
            r"hcvault://(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?(?:/[\w-][\w.-]*)+/keys/[\w-][\w.-]*",
            re.ASCII,
        ),
        extra="vault",
        module="lpe.pipeline.keystore.kek_vault",
    ),
}
"""The kinds of key services, by the scheme of their URIs."""


class ServiceKek:
    """A key in a service, which wraps and unwraps by calls to it; each call uses the key once.

    Tink unwraps what it has wrapped before it lets a keyset be written, so a change needs both permissions.

    Args:
      service: the kind of service.
      uri: names the key; of the service's form.

    Raises:
      KeyStoreError: the service's client is not installed, not configured, or has no credentials. So do the
        methods, and for anything that the service refuses or fails at.
    """

    def __init__(self, service: Service, uri: str) -> None:
        self._uri = uri
        try:
            self._client = importlib.import_module(service.module)
            self._remote: Kek = self._client.connect(uri)
        except ImportError:
            raise KeyStoreError(
                f"{uri}: needs the extra {service.extra}: {install_command(service.extra)}"
            ) from None
        except Exception as error:
            failure = error
        else:
            return
        self._fail(failure)

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """The wrapped keyset. Raises KeyStoreError."""
        try:
            return _non_empty(self._remote.encrypt(plaintext, associated_data))
        except Exception as error:
            failure = error
        self._fail(failure)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """The keyset. Raises KeyStoreError; TinkError if the ciphertext is invalid or of another key or name."""
        try:
            return _non_empty(self._remote.decrypt(ciphertext, associated_data))
        except Exception as error:
            failure = error
        if self._meaning(failure) is None:
            raise tink.TinkError("the key service says that the ciphertext is invalid, or of another key")
        self._fail(failure)

    def _meaning(self, error: Exception) -> str | None:
        """What happened and what to do; None as for `Service.module`'s `explain`."""
        cause = _cause(error)
        if isinstance(cause, KeyStoreError):
            return str(cause)
        if isinstance(cause, _GARBLED):
            return "no answer of a key service; check what answers at its address, and proxies"
        meaning: str | None = self._client.explain(cause)
        return meaning

    def _fail(self, error: Exception) -> NoReturn:
        """Raises ours in its place, without a chain: a client's error may hold the request, and so the keyset."""
        meaning = self._meaning(error)
        if meaning is None:
            meaning = f"the key service refuses ({one_line(_cause(error))}); check the key's kind"
        raise KeyStoreError(f"{self._uri}: {meaning}") from None


def on_this_machine(host: str) -> bool:
    """Whether a connection to this host stays on the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _EmptyError(Exception):
    """An answer without what was asked for."""


# What clients raise for an answer that has not the fields of the service's.
_GARBLED = (_EmptyError, LookupError, TypeError)


def _non_empty(answer: bytes) -> bytes:
    """Google's client takes any JSON object for an answer, with all fields empty."""
    if not answer:
        raise _EmptyError
    return answer


def _cause(error: Exception) -> Exception:
    """The error that one of Tink's integrations has wrapped in a TinkError, or the error itself."""
    inner = error.args[0] if isinstance(error, tink.TinkError) and error.args else None
    return inner if isinstance(inner, Exception) else error
