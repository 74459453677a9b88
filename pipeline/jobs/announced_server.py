"""A server that says where it listens; imports uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn


class AnnouncedServer(uvicorn.Server):
    """A server of uvicorn's that says when it can be asked.

    Args:
      config: uvicorn's.
      listening: called once for each address and port.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[str, int], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn; ends the process where it cannot listen."""
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                host, port, *_ = listener.getsockname()
                self._listening(host, port)
