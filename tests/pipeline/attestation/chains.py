"""Certificate authorities and what they certify, made for a test."""

from __future__ import annotations

import base64
import dataclasses
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from lpe.pipeline import clock
from tests.pipeline.attestation.stub_service import compact

_UNUSED = (
    "content_commitment",
    "data_encipherment",
    "decipher_only",
    "encipher_only",
    "key_agreement",
    "key_encipherment",
)


@dataclasses.dataclass
class Certified:
    """A key, and the certificate of it.

    Attributes:
      key: an RSA key, or one on a curve.
      certificate: of its public part.
    """

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def x5c(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    def token(self, claims: dict[str, Any], *chain: Certified, **header: Any) -> str:
        """A token signed with this key, which comes with certificates: this one first."""
        rs256 = isinstance(self.key, rsa.RSAPrivateKey)
        head = {
            "alg": "RS256" if rs256 else "ES256",
            "x5c": [one.x5c for one in (self, *chain)],
            **header,
        }
        return compact(head, claims, self.rs256 if rs256 else self.es256)

    def rs256(self, message: bytes) -> bytes:
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def es256(self, message: bytes) -> bytes:
        return es256(self.key, message)


def es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """A signature as tokens have it: two numbers of 32 bytes."""
    numbers = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def certify(
    name: str,
    issuer: Certified | None = None,
    *,
    authority: bool = True,
    days: tuple[int, int] = (-1, 30),
    alternative_name: str | None = None,
    key: Any = None,
) -> Certified:
    """A new key with its certificate.

    Args:
      name: its common name.
      issuer: who signs; None for itself.
      authority: whether it may sign others.
      days: first and last day, counted from now.
      alternative_name: a DNS name; None for no such extension.
      key: None for an RSA key.
    """
    key = rsa.generate_private_key(65537, 2048) if key is None else key
    now = clock.now()
    signer = key if issuer is None else issuer.key
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    unused = dict.fromkeys(_UNUSED, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **unused
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if alternative_name is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(alternative_name)])
        builder = builder.add_extension(names, critical=False)
    return Certified(key, builder.sign(signer, hashes.SHA256()))
