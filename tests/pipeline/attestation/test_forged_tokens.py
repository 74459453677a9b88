"""Tokens that the attestation service did not sign so: forged, torn, padded, made to be read in two ways."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from lpe.pipeline.attestation.request import Request
from tests.pipeline.attestation.owner import Owner
from tests.pipeline.attestation.stub_service import HEADER, KID, StubService, compact, encoded

Refusal = Callable[[Callable[[dict[str, Any]], str]], str]


@pytest.fixture
def refusal(owner: Owner, program) -> Refusal:
    """What an owner says of a request whose token is made of the claims of a good one."""

    def of(make: Callable[[dict[str, Any]], str]) -> str:
        offer = owner.offer()
        token = make(owner.claims(offer, program.public))
        return owner.refusal(Request(offer, program.public, token))

    return of


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "none "])
def test_a_token_without_a_signature_is_refused(service, refusal, name):
    header = {**HEADER, "alg": name}
    for signature in (b"", b"\0", service.signature(b"something")):
        line = refusal(lambda claims, made=signature: compact(header, claims, lambda _: made))
        assert "no signature by a private key" in line or "not a token" in line


def test_a_public_key_is_no_secret_of_an_hmac(service, refusal):
    public = service.key.public_key()
    encodings = (serialization.Encoding.PEM, serialization.Encoding.DER)
    formats = (serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1)
    secrets = [public.public_bytes(encoding, form) for encoding in encodings for form in formats]
    published = json.loads(service.jwks())["keys"][0]
    secrets += [published["n"].encode(), service.jwks().encode(), json.dumps(published).encode(), b""]
    for algorithm, digest in (("HS256", "sha256"), ("HS512", "sha512"), ("RS256", "sha256")):
        header = {**HEADER, "alg": algorithm}
        for secret in secrets:
            refusal(lambda claims, head=header, key=secret, name=digest: compact(
                head, claims, lambda message: hmac.digest(key, message, name)
            ))  # fmt: skip


@pytest.mark.parametrize(
    ("algorithm", "scheme", "digest"),
    [
        ("RS512", padding.PKCS1v15(), hashes.SHA512()),
        ("RS384", padding.PKCS1v15(), hashes.SHA384()),
        ("PS256", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
        ("RS1", padding.PKCS1v15(), hashes.SHA256()),
        ("rs256", padding.PKCS1v15(), hashes.SHA256()),
        ("ES256", padding.PKCS1v15(), hashes.SHA256()),
    ],
)
def test_the_key_decides_the_algorithm(service, refusal, algorithm, scheme, digest):
    def sign(message: bytes) -> bytes:
        return service.key.sign(message, scheme, digest)

    line = refusal(lambda claims: compact({**HEADER, "alg": algorithm}, claims, sign))
    assert f"algorithm {algorithm}" in line.replace("'", "")


@pytest.mark.parametrize(
    ("scheme", "digest"),
    [
        (padding.PKCS1v15(), hashes.SHA512()),
        (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ],
)
def test_a_signature_by_another_algorithm_than_the_header_names_is_refused(service, refusal, scheme, digest):
    refusal(lambda claims: compact(HEADER, claims, lambda message: service.key.sign(message, scheme, digest)))


@pytest.mark.parametrize("kid", ["key-2", "", "KEY-1", "key-1 ", "../key-1", None, 1, ["key-1"], {}])
def test_a_token_of_an_unknown_key_is_refused(service, refusal, kid):
    assert "kid" in refusal(lambda claims: service.sign(claims, {**HEADER, "kid": kid})).replace("key", "kid")


def test_a_token_that_names_no_key_is_refused(service, refusal):
    assert "is not among the pinned ones" in refusal(lambda claims: service.sign(claims, {"alg": "RS256"}))


def test_another_key_of_the_same_name_is_not_believed(refusal):
    stranger = StubService()
    published = json.loads(stranger.jwks())["keys"][0]
    refusal(stranger.sign)
    for more in (
        {"jwk": published},
        {"jku": "https://other.example/jwks"},
        {"x5u": "https://other.example/x"},
    ):
        refusal(lambda claims, fields=more: stranger.sign(claims, {**HEADER, **fields}))


def test_claims_cannot_be_exchanged_under_a_signature(service, refusal):
    def exchanged(claims: dict[str, Any]) -> str:
        head, _, signature = service.sign({**claims, "dbgstat": "enabled"}).split(".")
        return f"{head}.{encoded(json.dumps(claims).encode())}.{signature}"

    refusal(exchanged)


def test_a_torn_token_is_refused(service, refusal):
    def torn(end: Callable[[str], int]) -> str:
        return refusal(lambda claims: (token := service.sign(claims))[: end(token)])

    for kept in (0, 1, 10):
        assert "not a token" in torn(lambda _, kept=kept: kept)
    assert "not a token" in torn(lambda token: token.index("."))
    assert "not a token" in torn(lambda token: token.index(".") + 20)
    assert "not a token" in torn(lambda token: token.rindex(".") + 1)
    for cut in (1, 2, 3, 4, 100):
        torn(lambda token, cut=cut: len(token) - cut)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: f"{token}.",
        lambda token: f".{token}",
        lambda token: f"{token}.{token}",
        lambda token: ".".join(token.split(".")[:2]) + ".",
        lambda token: token.replace(".", "..", 1),
        lambda token: token.replace(".", "=.", 1),
        lambda token: f"{token}=",
        lambda token: f"{token}==",
        lambda token: f" {token}",
        lambda token: f"{token} ",
        lambda token: token.replace(".", ". "),
        lambda token: token.replace(".", "。"),
        lambda token: f"Bearer {token}",
        lambda token: token.replace("-", "+").replace("_", "/"),
        lambda token: token + "+",
        lambda token: token + "é",
        lambda token: "",
    ],
)
def test_a_text_that_is_not_three_parts_of_base64url_is_refused(service, refusal, change):
    assert "not a token" in refusal(lambda claims: change(service.sign(claims)))


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1), (0, 0, 2), (1, 1, 1), (0, 1, 1)])
def test_parts_of_a_token_have_their_places(service, refusal, order):
    refusal(lambda claims: ".".join(service.sign(claims).split(".")[part] for part in order))


def test_a_token_with_a_line_break_is_refused(service, refusal):
    for character in ("\n", "\r", "\0"):
        assert "control characters" in refusal(lambda claims, end=character: service.sign(claims) + end)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_unused_bits_of_base64url_must_be_zero(service, refusal, part):
    def changed(claims: dict[str, Any]) -> str:
        # Spaces at the end of an object until its text has unused bits.
        head, payload = (json.dumps(value).encode() for value in (HEADER, claims))
        head, payload = (text + b" " * ((1 - len(text)) % 3) for text in (head, payload))
        parts = service.sign(payload, head).split(".")
        text = parts[part]
        other = text[:-1] + chr(ord(text[-1]) + 1)
        assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(text + "==")
        return ".".join([*parts[:part], other, *parts[part + 1 :]])

    assert "no base64url" in refusal(changed)


def test_a_token_is_not_longer_than_64_kilobytes(service, refusal):
    assert "more than 65536" in refusal(lambda claims: service.sign({**claims, "more": "x" * 65_536}))
    assert "longer than 256 KiB" in refusal(lambda claims: "x" * 10_000_000)


def test_a_claim_that_is_there_twice_is_refused(service, refusal):
    def twice(claims: dict[str, Any], name: str, value: str) -> str:
        return service.sign(
            json.dumps(claims).replace(f'"{name}":', f'"{name}": {value}, "{name}":', 1).encode()
        )

    for name, value in (("aud", '"x"'), ("eat_nonce", "[]"), ("image_digest", '"x"'), ("exp", "1")):
        refusal(lambda claims, name=name, value=value: twice(claims, name, value))


def test_a_header_field_that_is_there_twice_is_refused(service, refusal):
    for header in (
        b'{"alg": "none", "alg": "RS256", "kid": "%s"}' % KID.encode(),
        b'{"alg": "RS256", "kid": "key-2", "kid": "%s"}' % KID.encode(),
    ):
        assert "two values" in refusal(lambda claims, head=header: service.sign(claims, head))


@pytest.mark.parametrize("critical", [["exp"], [], None, "b64", {}])
def test_a_critical_extension_is_refused(service, refusal, critical):
    line = refusal(lambda claims: service.sign(claims, {**HEADER, "crit": critical, "b64": False}))
    assert "critical extensions" in line


@pytest.mark.parametrize(
    "header", [{"typ": 1}, {"typ": ["JWT"]}, {"alg": None}, {"alg": ["RS256"]}, {"alg": 5}]
)
def test_a_header_field_of_another_type_is_refused(service, refusal, header):
    refusal(lambda claims: service.sign(claims, {**HEADER, **header}))


@pytest.mark.parametrize(
    "part",
    [
        b'{"a":' * 5000,
        b"[" * 20_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[]",
        b"null",
        b"1",
        b"{",
        b"\xff",
        b"\0",
    ],
)
def test_parts_that_are_no_json_objects_are_refused(service, refusal, part):
    refusal(lambda claims: service.sign(part))
    refusal(lambda claims: service.sign(claims, part))


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("number", ["NaN", "1e999", "-1e999", "Infinity", "-1", "9" * 5000, "1e308", "٣"])
def test_times_that_are_no_numbers_are_refused(service, refusal, name, number):
    def changed(claims: dict[str, Any]) -> str:
        return service.sign(json.dumps({**claims, name: "HERE"}).replace('"HERE"', number).encode())

    refusal(changed)


@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\u0000"', '"a\\nb"', '"\\u2028"'])
def test_claims_that_cannot_be_printed_are_refused(service, refusal, text):
    for name in ("aud", "hwmodel", "dbgstat", "iss"):
        refusal(lambda claims, name=name: service.sign(
            json.dumps({**claims, name: "HERE"}).replace('"HERE"', text).encode()
        ))  # fmt: skip
