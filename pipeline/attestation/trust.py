"""The keys that an attestation service signs its tokens with: a pinned JWKS, or the root that its certificates lead to.

Tink checks every signature; the key decides the algorithm, never the token.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tink
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from tink import jwt

from lpe.pipeline import clock
from lpe.pipeline.attestation import documents
from lpe.pipeline.storage.documents import Fields, parse_document
from lpe.transforms.errors import AttestationError, UsageError, one_line

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_ALGORITHMS = (*_RSA, *_CURVES)
"""Signatures by private keys alone: neither `none` nor an HMAC, for which a public key could be taken as the secret."""
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What reading a damaged certificate raises."""
_MOST_KEYS = 50
_SHOWN = 4
_MOST_CERTIFICATES = 8
_MOST_BYTES = 256 << 10
_REMEDY = "fetch it again from the service, by a way that you trust"


@dataclasses.dataclass(frozen=True)
class Trust:
    """Whose signature under a token is believed: one of the two.

    Attributes:
      keys: the service's JSON Web Key Set (RFC 7517), as text.
      roots: certificates, PEM, that the chain in a token's `x5c` must lead to.

    Raises:
      UsageError: neither, or both.
      AttestationError: what is given holds no usable key or certificate.
    """

    keys: str | None = None
    roots: str | None = None

    def __post_init__(self) -> None:
        jwt.register_jwt_signature()
        if (self.keys is None) == (self.roots is None):
            raise UsageError("pin either the service's keys (a JWKS) or the root of its certificates")
        for kid, key in self._by_kid().items():
            try:
                _verifier(key)
            except tink.TinkError as error:
                raise _unusable(f"key {kid[:60]!a}: {one_line(error, 100)}") from error
        self._root_certificates()

    @classmethod
    def from_fields(cls, fields: Fields) -> Trust:
        """Reads the fields `keys` and `roots` of a policy, of which there is one."""
        keys, roots = (_lines(fields, name) if fields.has(name) else None for name in ("keys", "roots"))
        return cls(keys, roots)

    def to_toml(self) -> str:
        """The lines of a policy that say this."""
        name, text = ("keys", self.keys) if self.keys is not None else ("roots", self.roots)
        return f"{name} = '''\n{(text or '').strip()}\n'''\n"

    def verify(self, token: str, header: Fields, validator: jwt.JwtValidator) -> None:
        """Checks the signature of a token, and what its validator asks for.

        Args:
          token: three base64url parts.
          header: the first, parsed.
          validator: of its time.

        Raises:
          AttestationError: the signature is not the service's, or the validator refuses.
        """
        algorithm = header.text("alg")
        if algorithm not in _ALGORITHMS:
            raise AttestationError(f"algorithm {algorithm[:20]!a} is no signature by a private key")
        key = self._key_of_chain(header, algorithm) if self.roots is not None else self._key_of_set(header)
        if key["alg"] != algorithm:
            raise AttestationError(f"algorithm {algorithm} is not the key's, {key['alg']}")
        try:
            _verifier(key).verify_and_decode(token, validator)
        except (tink.TinkError, ValueError) as error:  # the latter for a time that is NaN, or of 5,000 digits
            raise AttestationError(one_line(error, 100)) from error

    def described(self) -> str:
        """Whose signature that is, for people."""
        if self.keys is not None:
            kids = list(self._by_kid())
            more = ", …" if len(kids) > _SHOWN else ""
            if len(kids) == 1:
                return f"the pinned key {kids[0][:60]}"
            return f"one of {len(kids)} pinned keys: {', '.join(kid[:16] for kid in kids[:_SHOWN])}{more}"
        names = ", ".join(one_line(root.subject.rfc4514_string(), 80) for root in self._root_certificates())
        return f"a certificate under the pinned {names}"

    def warnings(self) -> tuple[str, ...]:
        """What may be more than the owner meant, or soon too little; a line each."""
        now = clock.now()
        expired = [root for root in self._root_certificates() if root.not_valid_after_utc < now]
        if expired:
            return ("a pinned root certificate has expired: no token will be believed",)
        if self.keys is not None:
            return ("a service changes its keys now and then: tokens are refused until they are pinned anew",)
        return ()

    def _by_kid(self) -> Mapping[str, Mapping[str, Any]]:
        if self.keys is None:
            return {}
        document = parse_document(self.keys.encode(), "the JWKS", _REMEDY, AttestationError)
        found: dict[str, Mapping[str, Any]] = {}
        for fields in document.objects("keys"):
            key = _normalised(fields)
            if key is None:
                continue
            if key["kid"] in found:
                raise _unusable(f"two keys have the kid {key['kid'][:60]!a}")
            found[key["kid"]] = key
        if not 1 <= len(found) <= _MOST_KEYS:
            raise _unusable(f"{len(found)} keys for signatures; there are 1 to {_MOST_KEYS}")
        return found

    def _key_of_set(self, header: Fields) -> Mapping[str, Any]:
        kid = header.text("kid") if header.has("kid") else ""
        key = self._by_kid().get(kid)
        if key is None:
            raise AttestationError(
                f"key {kid[:60]!a} is not among the pinned ones; if the service has changed its keys, pin them anew"
            )
        return key

    def _key_of_chain(self, header: Fields, algorithm: str) -> Mapping[str, Any]:
        """The key of the certificate that a token comes with, if that leads to a pinned root."""
        texts = header.texts("x5c")
        if not 1 <= len(texts) <= _MOST_CERTIFICATES:
            raise AttestationError(f"{len(texts)} certificates in x5c; there are 1 to {_MOST_CERTIFICATES}")
        roots = self._root_certificates()
        try:
            leaf, *others = [_certificate(text) for text in texts]
            policy = verification.PolicyBuilder().store(verification.Store(roots)).time(clock.now())
            policy.extension_policies(
                ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=verification.ExtensionPolicy.permit_all(),
            ).build_client_verifier().verify(leaf, others)
            return _key_of(leaf, algorithm)
        except (verification.VerificationError, *_UNREADABLE) as error:
            raise AttestationError(
                f"its certificates do not lead to a pinned root: {one_line(error, 100)}"
            ) from error

    def _root_certificates(self) -> list[x509.Certificate]:
        if self.roots is None:
            return []
        try:
            roots = x509.load_pem_x509_certificates(self.roots.encode())
            for root in roots:  # whose parts are read when they are asked for
                _ = root.subject, root.not_valid_after_utc, root.extensions, root.public_key()
        except _UNREADABLE as error:
            raise _unusable(f"no PEM certificates: {one_line(error, 100)}") from error
        return roots


def read_trust(keys: str | None = None, roots: str | None = None) -> Trust:
    """Reads what an owner pins from files.

    Args:
      keys: the path of a JWKS; None for none.
      roots: the path of PEM certificates; None for none.

    Raises:
      AttestationError: a file is missing or holds something else.
      UsageError: neither, or both.
    """
    return Trust(*(None if path is None else _text_of(path) for path in (keys, roots)))


def _text_of(path: str) -> str:
    try:
        text = documents.read(path, _REMEDY, _MOST_BYTES).decode()
    except ValueError:
        text = "'''"
    if "'''" in text or "\x00" in text:
        raise AttestationError(f"{path}: not a text of keys or certificates; {_REMEDY}")
    return text if Path(path).suffix == ".pem" or not text.lstrip().startswith("{") else _compact(text, path)


def _compact(text: str, path: str) -> str:
    """A JWKS with a line for each key."""
    document = parse_document(text.encode(), path, _REMEDY, AttestationError)
    keys = [json.dumps(dict(key.raw())) for key in document.objects("keys")]
    return '{"keys": [\n' + ",\n".join(keys) + "\n]}"


def _lines(fields: Fields, name: str) -> str:
    """A text of several lines."""
    value = fields.raw()[name]
    if not isinstance(value, str):
        fields.refuse(f"{name} must be a text")
    return str(value)


def _normalised(key: Fields) -> Mapping[str, Any] | None:
    """A key of a JWKS as Tink takes it; None for one that is for something else than signatures."""
    if key.has("use") and key.text("use") != "sig":
        return None
    kid = key.text("kid") if key.has("kid") else ""
    if key.text("kty") == "RSA" and not key.has("n") and key.has("x5c"):  # as Azure publishes its own
        algorithm = key.text("alg") if key.has("alg") else "RS256"
        try:
            return {**_key_of(_certificate(key.texts("x5c")[0]), algorithm), "kid": kid}
        except (IndexError, *_UNREADABLE) as error:
            raise _unusable(f"key {kid[:60]!a} has no certificate") from error
    algorithm = (
        key.text("alg") if key.has("alg") else {"RSA": "RS256", "EC": "ES256"}.get(key.text("kty"), "")
    )
    if algorithm not in _ALGORITHMS:
        raise _unusable(f"key {kid[:60]!a} is not for signatures by a private key")
    kept = ("kty", "n", "e") if algorithm in _RSA else ("kty", "crv", "x", "y")
    return {**{name: key.text(name) for name in kept}, "alg": algorithm, "kid": kid}


def _certificate(text: str) -> x509.Certificate:
    """The certificate in base64 (RFC 7515 section 4.1.6). Raises one of `_UNREADABLE` for anything else."""
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


def _key_of(certificate: x509.Certificate, algorithm: str) -> Mapping[str, Any]:
    """A certificate's public key as a JSON Web Key for an algorithm."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
        numbers = key.public_numbers()
        return {"kty": "RSA", "alg": algorithm, "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _CURVES:
        point, size = key.public_numbers(), (key.key_size + 7) // 8
        return {
            "kty": "EC",
            "alg": algorithm,
            "crv": _CURVES[algorithm],
            "x": _number(point.x, size),
            "y": _number(point.y, size),
        }
    raise AttestationError(f"algorithm {algorithm} does not fit the certificate's key")


def _number(value: int, size: int | None = None) -> str:
    data = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _verifier(key: Mapping[str, Any]) -> jwt.JwtPublicKeyVerify:
    named = {name: value for name, value in key.items() if (name, value) != ("kid", "")}
    handle = jwt.jwk_set_to_public_keyset_handle(json.dumps({"keys": [named]}))
    return handle.primitive(jwt.JwtPublicKeyVerify)


def _unusable(what: str) -> AttestationError:
    return AttestationError(f"what is pinned cannot be used: {what}; {_REMEDY}")
