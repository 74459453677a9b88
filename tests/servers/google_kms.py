"""A stub of Google Cloud KMS' REST API: AES-256-GCM, and the refusals that the service is known to give."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.server
import json
import os
import threading
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_REASONS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 500: "INTERNAL"}


@dataclasses.dataclass
class GoogleKms:
    """The stub: its URL, and its keys by resource name.

    Attributes:
      forbidden: names that the caller may not use.
      disabled: names whose versions are disabled.
      down: every request is answered by 500.
    """

    url: str = ""
    keys: dict[str, bytes] = dataclasses.field(default_factory=dict)
    forbidden: set[str] = dataclasses.field(default_factory=set)
    disabled: set[str] = dataclasses.field(default_factory=set)
    down: bool = False

    def add_key(self, name: str) -> str:
        """Makes a key `name` and returns its URI."""
        resource = f"projects/test/locations/global/keyRings/ring/cryptoKeys/{name}"
        self.keys[resource] = AESGCM.generate_key(256)
        return f"gcp-kms://{resource}"

    def answer(self, name: str, verb: str, body: dict[str, str]) -> dict[str, str]:
        """Encrypts or decrypts. Raises _RefusedError."""
        if self.down:
            raise _RefusedError(500, "Internal error encountered.")
        if name in self.forbidden:
            raise _RefusedError(
                403, f"Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on '{name}'."
            )
        if name not in self.keys:
            raise _RefusedError(404, f"CryptoKey {name} not found.")
        if name in self.disabled:
            message = f"{name}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED."
            raise _RefusedError(400, message, "FAILED_PRECONDITION")
        key, bound = AESGCM(self.keys[name]), _bytes(body, "additionalAuthenticatedData")
        if verb == "encrypt":
            nonce = os.urandom(12)
            wrapped = nonce + key.encrypt(nonce, _bytes(body, "plaintext"), bound)
            return {"name": f"{name}/cryptoKeyVersions/1", "ciphertext": base64.b64encode(wrapped).decode()}
        wrapped = _bytes(body, "ciphertext")
        try:
            clear = key.decrypt(wrapped[:12], wrapped[12:], bound)
        except (InvalidTag, ValueError):
            raise _RefusedError(400, "Decryption failed: the ciphertext is invalid.") from None
        return {"plaintext": base64.b64encode(clear).decode()}


class _RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, message: str, status: str | None = None) -> None:
        super().__init__(message)
        self.code, self.status = code, status or _REASONS[code]


@contextlib.contextmanager
def google_kms() -> Iterator[GoogleKms]:
    """Yields the running stub."""
    stub = GoogleKms()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, _, verb = self.path.partition("?")[0].removeprefix("/v1/").partition(":")
            try:
                code, answer = 200, stub.answer(name, verb, body)
            except _RefusedError as error:
                code = error.code
                answer = {"error": {"code": code, "message": str(error), "status": error.status}}
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()


def _bytes(body: dict[str, str], field: str) -> bytes:
    text = body.get(field, "")
    # Google's clients send either base64 alphabet.
    return base64.b64decode(text.replace("-", "+").replace("_", "/"))
