"""A reverse proxy that spoils what passes through it: errors, broken connections, slow answers."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import random
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Literal

Fault = Literal["none", "error", "denied", "reset", "cut", "slow", "flip"]


@dataclasses.dataclass
class Faults:
    """What to do with requests, to be changed while the proxy runs.

    Attributes:
      url: the proxy's.
      choose: given (method, path), how to spoil this request: `error` answers 503, and `denied` 403, and
        passes nothing on, `reset` breaks the connection before the request is passed on, `cut` passes it on and
        breaks the connection in the middle of the answer, `slow` answers after a second, `flip` flips a bit of the
        answer.
      seen: how often each fault was chosen.
    """

    url: str
    choose: Callable[[str, str], Fault] = lambda method, path: "none"
    seen: dict[Fault, int] = dataclasses.field(default_factory=dict)


def at_random(share: float, seed: int) -> Callable[[str, str], Fault]:
    """Spoils this share of all requests, in every way."""
    draw = random.Random(seed)
    return lambda method, path: draw.choice(("error", "reset", "cut")) if draw.random() < share else "none"


@contextlib.contextmanager
def spoiled(target: str) -> Iterator[Faults]:
    """A proxy in front of the server at the URL `target`."""
    faults = Faults("")
    host = urllib.parse.urlsplit(target).netloc

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        def do_PUT(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def do_DELETE(self) -> None:
            self._pass_on()

        def do_HEAD(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            body = self._body()
            fault = faults.choose(self.command, self.path)
            faults.seen[fault] = faults.seen.get(fault, 0) + 1
            if fault == "reset":
                return self._break()
            if fault in ("error", "denied"):
                self.send_response(503 if fault == "error" else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            if fault == "slow":
                time.sleep(1)
            answer, data = self._ask(body)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value.replace(target, faults.url))
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if fault == "flip" and data:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if fault == "cut":
                self.wfile.write(data[: len(data) // 2])
                return self._break()
            if self.command != "HEAD":
                self.wfile.write(data)
            return None

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            connection = http.client.HTTPConnection(host, timeout=30)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "expect")
            }
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            return answer, data.replace(target.encode(), faults.url.encode())

        def _break(self) -> None:
            # With this option, closing sends a reset instead of an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    faults.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
