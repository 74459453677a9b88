"""The key services that the tests of key-encryption keys talk to."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator

AWS_ENDPOINT, GCP_ENDPOINT = "AWS_ENDPOINT_URL", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"
NAME = b"lpe/v1/keyset/patients"


@dataclasses.dataclass(frozen=True)
class Keks:
    """Two keys of a running service, the URI of one that is not there, and what its client needs to be told."""

    uri: str
    other: str
    missing: str
    server: str
    environment: dict[str, str]


@dataclasses.dataclass
class Stub:
    """A server that gives every request the same answer."""

    url: str = ""
    status: int = 500
    answer: dict[str, str] = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def answering() -> Iterator[Stub]:
    stub = Stub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            data = json.dumps(stub.answer).encode()
            self.send_response(stub.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stub
        finally:
            server.shutdown()
