"""Google Cloud Storage, by gcp-storage-emulator, and the metadata service that says who one is."""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from tests.servers import free_port, running

_SERVE = """
import sys
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", int(sys.argv[1]), in_memory=True)
server.run()
"""


class _Metadata(http.server.BaseHTTPRequestHandler):
    """Answers as a virtual machine's metadata service does: without it Google's clients wait for 20 seconds."""

    def do_GET(self) -> None:
        body = b"test"
        if "/token" in self.path:
            body = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()
        elif "recursive=true" in self.path:
            body = json.dumps({"aliases": ["default"], "email": "test@test", "scopes": []}).encode()
        self.send_response(404 if "universe" in self.path else 200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def metadata_service() -> Iterator[str]:
    """Yields its HOST:PORT."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def gcs_server() -> Iterator[str]:
    """Yields the endpoint's URL."""
    pytest.importorskip(
        "gcp_storage_emulator", reason="gcp-storage-emulator is not installed: gs:// is not tested"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-c", _SERVE, str(port)], f"{url}/storage/v1/b?project=test"):
        yield url


def make_bucket(url: str, name: str) -> None:
    """Makes a bucket."""
    request = urllib.request.Request(
        f"{url}/storage/v1/b?project=test",
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()
