"""Amazon's KMS and S3, by moto."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest

from tests.servers import free_port, running
from tests.servers.environment import services_at
from tests.servers.faults import Faults, spoiled

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
LISTED_AT_ONCE = 10
"""Objects in a page of a listing; with Amazon it is 1000."""


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Yields the endpoint's URL."""
    pytest.importorskip(
        "moto.server", reason="moto[server] is not installed: Amazon's services are not tested"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, url, {"MOTO_S3_DEFAULT_MAX_KEYS": str(LISTED_AT_ONCE)}):
        yield url


@contextlib.contextmanager
def spoiled_bucket() -> Iterator[Faults]:
    """Has this process find an S3 with a bucket `bucket`, whose answers can be spoiled."""
    with (
        moto_server() as url,
        spoiled(url) as faults,
        services_at({**ENVIRONMENT, "AWS_ENDPOINT_URL": faults.url}),
    ):
        from lpe.pipeline.storage.s3 import client  # noqa: PLC0415  (boto3, which may not be installed)

        client().create_bucket(Bucket="bucket")
        yield faults
