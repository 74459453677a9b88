"""Where a program gets its token: the attestation service's agent on its machine, a command, or a file."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from lpe.pipeline.attestation.http_post import post
from lpe.pipeline.attestation.token import MOST_BYTES
from lpe.transforms.errors import AttestationError, UsageError, one_line

CONFIDENTIAL_SPACE = "confidential-space"
FORMS = (CONFIDENTIAL_SPACE, "command:PROGRAM", "file:PATH")
"""How a provider is named."""
_SOCKET = "/run/container_launcher/teeserver.sock"
_SECONDS = 60

Provider = Callable[[str, Sequence[str]], str]
"""From audience and nonces to a token that is bound to them."""


def provider(name: str) -> Provider:
    """A provider by its name.

    Args:
      name: `confidential-space`; `command:PROGRAM ARGUMENTS`, which reads `{"audience": …, "nonces": […]}` on standard
        input and prints a token; or `file:PATH`, a token that was got otherwise.

    Raises:
      UsageError: it is of none of these forms. What it returns raises AttestationError if there is no token to be had.
    """
    kind, _, rest = name.partition(":")
    if name == CONFIDENTIAL_SPACE:
        return _from_confidential_space
    if kind == "command" and rest.strip():
        return lambda audience, nonces: _from_command(rest, audience, nonces)
    if kind == "file" and rest:
        return lambda audience, nonces: _from_file(rest, audience, nonces)
    raise UsageError(f"no token provider {name}; there are {', '.join(FORMS)}")


def _from_confidential_space(audience: str, nonces: Sequence[str]) -> str:
    body = json.dumps({"audience": audience, "token_type": "OIDC", "nonces": list(nonces)}).encode()
    try:
        status, content = post(_SocketConnection(_SOCKET), "/v1/token", body, MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise AttestationError(
            f"{_SOCKET}: no token to be had ({one_line(error, 100)}); this is not a Confidential Space machine, or its "
            "launcher does not answer"
        ) from error
    if status != http.client.OK:
        raise AttestationError(f"{_SOCKET}: refused a token: {status} {_shown(content)}")
    return _token(content, _SOCKET)


def _from_command(command: str, audience: str, nonces: Sequence[str]) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"command:{command}: {error}") from error
    asked = json.dumps({"audience": audience, "nonces": list(nonces)}).encode()
    try:
        # Whoever starts this process names the program, which is started without a shell.
        ended = subprocess.run(words, input=asked, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:  # which would quote the whole command
        raise AttestationError(f"{words[0]}: no token within {_SECONDS} seconds") from None
    except OSError as error:
        raise AttestationError(f"{words[0]}: no token: {one_line(error, 200)}") from error
    if ended.returncode:
        raise AttestationError(f"{words[0]}: no token: exit {ended.returncode}: {_shown(ended.stderr)}")
    return _token(ended.stdout, words[0])


def _from_file(path: str, audience: str, nonces: Sequence[str]) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise AttestationError(
            f"{path}: no such file; ask the attestation service for a token with the audience {audience} and the "
            f"nonces {' and '.join(nonces)}, write it there, and run the same command again"
        ) from None
    except OSError as error:
        raise AttestationError(f"{path}: {error.strerror}; make it readable") from error
    return _token(content, path)


def _token(content: bytes, where: str) -> str:
    """The token in an answer; whether it is one is for the owner to say."""
    if not content.strip() or len(content) > MOST_BYTES:
        raise AttestationError(
            f"{where}: gave no token, but {len(content)} bytes; a token has 1 to {MOST_BYTES}"
        )
    try:
        return content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise AttestationError(f"{where}: gave no token, but other bytes") from None


def _shown(content: bytes) -> str:
    return one_line(content[:400].decode("utf-8", "replace"), 200)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
