"""A key server in a process of its own, its certificate, and ways to talk to it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.client
import ipaddress
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import lpe
from tests.pipeline.attestation.owner import Owner
from tests.pipeline.running import start

_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate for 127.0.0.1, which vouches for itself, and of its key."""

    path: str
    key: str


def make_certificate(folder: Path, name: str = "server", password: bytes | None = None) -> Certificate:
    """A certificate in new files; with a password its key is encrypted."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    clear = serialization.NoEncryption()
    locked = clear if password is None else serialization.BestAvailableEncryption(password)
    made = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    Path(made.path).write_bytes(certificate.public_bytes(pem))
    Path(made.key).write_bytes(key.private_bytes(pem, kind, locked))
    return made


def serving(owner: Owner, certificate: Certificate, *more: object) -> tuple[object, ...]:
    """The words of the command, at any free port."""
    whose = ("--keystore", owner.keystore, "--dataset", owner.dataset, "--policy", owner.policy)
    where = ("--certificate", certificate.path, "--private-key", certificate.key, "--port", 0)
    return ("keys", "serve", "patients", *whose, *where, *more)


class Server:
    """A key server that runs.

    Args:
      process: `lpe keys serve`.
      certificate: its own.

    Attributes:
      lines: what it has said on standard error.
      port: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], certificate: Certificate) -> None:
        self.process, self.certificate = process, certificate
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self.line(r"serving the data key of \S+ at https://127\.0\.0\.1:\d+$")
        self.port = int(line.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines += [line.rstrip("\n")]

    def line(self, pattern: str, after: int = 0) -> str:
        """The first line, of those after so many, with this in it; waits for it."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            running = self._reader.is_alive()
            for line in self.lines[after:]:
                if re.search(pattern, line):
                    return line
            if not running:
                break
            time.sleep(0.02)
        pytest.fail(f"no line {pattern}: {self.lines}")

    @property
    def client(self) -> lpe.OwnerService:
        return lpe.OwnerService(f"https://127.0.0.1:{self.port}", self.certificate.path)

    @contextlib.contextmanager
    def connected(self) -> Iterator[http.client.HTTPSConnection]:
        """A connection by which anything can be sent."""
        context = ssl.create_default_context(cafile=self.certificate.path)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_SECONDS, context=context)
        try:
            yield connection
        finally:
            connection.close()

    def ended(self, number: int) -> tuple[int, str]:
        """Sends a signal: the exit code then, and all of standard output."""
        self.process.send_signal(number)
        code = self.process.wait(_SECONDS)
        self._reader.join(_SECONDS)
        assert self.process.stdout is not None
        return code, self.process.stdout.read()


@contextlib.contextmanager
def served(owner: Owner, certificate: Certificate, *more: object) -> Iterator[Server]:
    """A server that is killed in the end, if it still runs."""
    process = start(*serving(owner, certificate, *more))
    try:
        yield Server(process, certificate)
    finally:
        process.kill()
        process.wait(_SECONDS)
