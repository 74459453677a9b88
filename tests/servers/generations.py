"""Google Cloud Storage's objects with their generations, which gcp-storage-emulator has no eye for.

Only what locks ask for: upload, metadata, download and deletion of small objects in the bucket `bucket`,
with `ifGenerationMatch` as documented for the JSON API. A stub, not Google's service.
"""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import threading
import urllib.parse
from collections.abc import Iterator
from email.parser import BytesParser


class _Objects(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, tuple[int, bytes]]
    generations: Iterator[int]
    one_at_a_time: threading.Lock

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.one_at_a_time:
            status, answer = self._act(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _act(self, body: bytes) -> tuple[int, bytes]:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        place = urllib.parse.unquote(url.path.partition("/b/")[2])
        if self.command == "POST":
            parts = BytesParser().parsebytes(
                b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
            )
            about, content = (part.get_payload(decode=True) for part in parts.get_payload())
            place = f"{place}/{json.loads(about)['name']}"
        elif place == "bucket/o":
            return 200, b"{}"  # a list; nobody asks for what is in it
        if not place.startswith("bucket/o/"):
            return 404, b"{}"
        generation, found = self.objects.get(place, (0, b""))
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != generation:
            return (412 if generation or self.command == "POST" else 404), b"{}"
        if self.command == "POST":
            generation = next(self.generations)
            self.objects[place] = (generation, content)
        elif not generation:
            return 404, b"{}"
        elif self.command == "DELETE":
            del self.objects[place]
            return 204, b""
        elif query.get("alt") == "media":
            return 200, found
        name = place.removeprefix("bucket/o/")
        return 200, json.dumps({"name": name, "bucket": "bucket", "generation": str(generation)}).encode()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def generations_server() -> Iterator[str]:
    """Yields the endpoint's URL."""
    state = {"objects": {}, "generations": itertools.count(1), "one_at_a_time": threading.Lock()}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Objects", (_Objects,), state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        server.server_close()
