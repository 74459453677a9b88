"""Runs one of Beam's programs with all its gRPC servers on 127.0.0.1; Beam binds them to every address.

    python loopback.py MODULE [ARGUMENT ...]

Run by any Python with Beam: it imports nothing of ours.
"""

from __future__ import annotations

import runpy
import socket
import sys

import grpc


def confine() -> None:
    """From now on gRPC servers of this process listen on 127.0.0.1, and say that they are at localhost."""
    server = type(grpc.server(None))
    bind = server.add_insecure_port
    if bind.__name__ == "on_loopback":
        return

    def on_loopback(self: grpc.Server, address: str) -> int:
        return bind(self, address.replace("[::]:", "127.0.0.1:"))

    server.add_insecure_port = on_loopback
    socket.getfqdn = lambda name="": "localhost"


if __name__ == "__main__":
    confine()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
