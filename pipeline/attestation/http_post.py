"""One request over HTTP, whose answer is bounded."""

from __future__ import annotations

import http.client


def post(connection: http.client.HTTPConnection, path: str, body: bytes, most: int) -> tuple[int, bytes]:
    """Posts a JSON document, and closes the connection.

    Args:
      connection: a new one.
      path: where to.
      body: the document.
      most: bytes of the answer that may be of use; one more is read of a longer one.

    Returns:
      The status and the answer.

    Raises:
      OSError, http.client.HTTPException: there is no answer.
    """
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            return answer.status, answer.read(most + 1)
    finally:
        connection.close()
