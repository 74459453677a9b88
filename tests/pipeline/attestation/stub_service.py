"""A stand-in for Confidential Space's attestation service: it signs claims of the real shape with keys of its own.

Run as a program it is a token provider: `python -m … KEY-FILE CLAIMS-JSON`, audience and nonces on standard input.
"""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lpe.pipeline import clock

ISSUER = "https://confidentialcomputing.googleapis.com"
AUDIENCE = "https://hospital.example/lpe"
DIGEST = "sha256:" + "ab" * 32
KID = "key-1"
HEADER = {"alg": "RS256", "kid": KID, "typ": "JWT"}


SUBMODS = {
    "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
    "container": {"image_digest": DIGEST, "image_reference": "registry.example/workload:1"},
    "nvidia_gpu": {"cc_mode": "ON"},
    "gce": {"project_id": "p", "zone": "z"},
}

Part = Mapping[str, Any] | bytes
"""A part of a token: an object, or bytes that need not be one."""


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: Part, payload: Part, sign: Callable[[bytes], bytes]) -> str:
    """A token with the signature that `sign` makes of its first two parts."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    message = ".".join(map(encoded, parts))
    return f"{message}.{encoded(sign(message.encode()))}"


def claims(nonces: Sequence[str], audience: str = AUDIENCE, **other: Any) -> dict[str, Any]:
    """What Confidential Space says of a production image on TDX with a confidential H100."""
    now = int(clock.now().timestamp())
    return {
        "iss": ISSUER,
        "aud": audience,
        "sub": "https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/i",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "eat_nonce": list(nonces),
        "eat_profile": "https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims",
        "secboot": True,
        "oemid": 11129,
        "swname": "CONFIDENTIAL_SPACE",
        "swversion": ["250300"],
        "hwmodel": "GCP_INTEL_TDX",
        "dbgstat": "disabled-since-boot",
        "submods": SUBMODS,
        **other,
    }


class StubService:
    """An attestation service with one RSA key.

    Args:
      key: a PEM file with it; made if there is none. None for a key in memory.
    """

    def __init__(self, key: Path | None = None) -> None:
        self._file = key
        if key is not None and key.exists():
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
            assert isinstance(loaded, rsa.RSAPrivateKey)
            self.key = loaded
        else:
            self.key = rsa.generate_private_key(65537, 2048)
        if key is not None and not key.exists():
            clear = serialization.NoEncryption()
            kind = serialization.PrivateFormat.PKCS8
            key.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, kind, clear))

    def jwks(self, **other: Any) -> str:
        """Its published keys."""
        numbers = self.key.public_key().public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": KID,
            "n": encoded(numbers.n.to_bytes(size, "big")),
            "e": encoded(numbers.e.to_bytes(3, "big")),
            **other,
        }
        return json.dumps({"keys": [key]})

    def sign(self, payload: Part, header: Part | None = None) -> str:
        """A token over these claims, whatever they are."""
        return compact(HEADER if header is None else header, payload, self.signature)

    def signature(self, message: bytes) -> bytes:
        """RS256, whatever a header says."""
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def token(self, audience: str, nonces: Sequence[str], **other: Any) -> str:
        """A token as the real service gives it."""
        return self.sign(claims(nonces, audience, **other))

    def provider(self, **other: Any) -> str:
        """The name of a token provider that asks this service, whose key is in a file."""
        words = (sys.executable, "-m", __name__, str(self._file), json.dumps(other))
        return f"command:{shlex.join(words)}"


def _main() -> None:
    key, other = sys.argv[1:]
    asked = json.load(sys.stdin)
    print(StubService(Path(key)).token(asked["audience"], asked["nonces"], **json.loads(other)))


if __name__ == "__main__":
    _main()
