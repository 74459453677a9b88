"""Amazon's KMS and S3, by moto."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest

from tests.servers import free_port, running

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Yields the endpoint's URL."""
    pytest.importorskip(
        "moto.server", reason="moto[server] is not installed: Amazon's services are not tested"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], url):
        yield url
