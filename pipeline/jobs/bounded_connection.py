"""A connection to the key server that ends, whatever its client does; imports uvicorn."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST_SECONDS = 60


class BoundedConnection(H11Protocol):
    """A connection that is cut after a minute, or when the server stops and nothing was asked.

    Without the one, clients that say nothing would keep all others out; without the other, the server would wait
    for their goodbye.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called for a new connection."""
        super().connection_made(transport)
        self.loop.call_later(_MOST_SECONDS, transport.abort)

    def shutdown(self) -> None:
        """Called when the server stops."""
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()
        else:
            super().shutdown()
