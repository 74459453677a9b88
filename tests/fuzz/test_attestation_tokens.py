"""Attestation tokens, and the documents around them, forged and damaged: none but the true ones is accepted."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hmac
import json
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import strategies as st

from lpe.pipeline import clock
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.offer import Offer, check_offer, make_offer
from lpe.pipeline.attestation.policy import PolicyFile
from lpe.pipeline.attestation.release import Release, decide, make_release
from lpe.pipeline.attestation.released_key import ReleasedKey
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.attestation.token import evidence
from lpe.pipeline.attestation.trust import Trust
from lpe.pipeline.keystore import DatasetKey, KeyStore
from lpe.transforms.errors import AttestationError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import HOSTILE_TEXTS, HOSTILE_VALUES, mutated, mutated_json, mutated_value
from tests.fuzz.trial import check_line, limits
from tests.pipeline.attestation.chains import Certified, certify
from tests.pipeline.attestation.owner import SHAPES, good_policy
from tests.pipeline.attestation.stub_service import HEADER, StubService, claims, compact, encoded

NOW = clock.now()
SERVICE, STRANGER = StubService(), StubService()
with clock.fixed_at(NOW):
    CLAIMS = claims(["5a" * 32])
TOKEN = SERVICE.sign(CLAIMS)
PARTS = TOKEN.split(".")


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def one_of_each() -> dict[str, Certified]:
    root = certify("root")
    return {"root": root, "leaf": certify("leaf", root, authority=False), "stranger": certify("leaf")}


CERTIFIED = one_of_each()
CHAINED = CERTIFIED["leaf"].token(CLAIMS, CERTIFIED["root"])
POLICIES = {
    TOKEN: good_policy(Trust(SERVICE.jwks())),
    CHAINED: good_policy(Trust(roots=CERTIFIED["root"].pem)),
}


def accepted(function: Callable[[], Any]) -> bool:
    """Whether something ends well; its only other end is an AttestationError of one line."""
    try:
        with limits(), clock.fixed_at(NOW):
            function()
    except AttestationError as error:
        check_line(str(error))
        return False
    return True


def believed(token: str, original: str = TOKEN) -> bool:
    return accepted(lambda: evidence(token, POLICIES[original]))


@pytest.mark.parametrize("token", POLICIES)
def test_the_true_tokens_are_accepted(token):
    assert believed(token, token)


_base64 = st.sampled_from("ABCxyz019-_+/=. \n\0é")


@st.composite
def damaged_text(draw: st.DrawFn, token: str) -> str:
    """Characters changed, put in, left out."""
    kind = draw(st.sampled_from(("replace", "insert", "delete", "bytes", "bits", "alphabet")))
    at = draw(st.integers(0, len(token) - 1))
    if kind == "replace":
        return token[:at] + draw(_base64) + token[at + 1 :]
    if kind == "insert":
        return token[:at] + draw(st.text(_base64, min_size=1, max_size=4)) + token[at:]
    if kind == "delete":
        return token[:at] + token[at + draw(st.integers(1, 9)) :]
    if kind == "bytes":
        return draw(mutated(token.encode())).decode(draw(st.sampled_from(("latin-1", "utf-7"))), "replace")
    if kind == "bits":  # the last character of a part, whose bits may be unused
        ends = [place for place in range(len(token)) if token[place + 1 : place + 2] in (".", "")]
        at = draw(st.sampled_from(ends))
        return token[:at] + chr(ord(token[at]) ^ draw(st.integers(1, 7))) + token[at + 1 :]
    old, new = draw(st.sampled_from((("-", "+"), ("_", "/"), (".", "=."), (".", "==."), (".", " ."))))
    return token.replace(old, new) if old in token else f"{token}{new}"


@st.composite
def rearranged(draw: st.DrawFn, token: str) -> str:
    """Parts of true and strange tokens, swapped, left out, repeated."""
    parts = [*token.split("."), *STRANGER.sign(CLAIMS).split("."), "", "e30", "bnVsbA"]
    return ".".join(draw(st.lists(st.sampled_from(parts), max_size=5)))


_certificates = st.lists(
    st.sampled_from([made.x5c for made in CERTIFIED.values()] + ["", "AAAA"]), max_size=4
)
_damaged_certificate = (
    st.sampled_from([base64.b64decode(made.x5c) for made in CERTIFIED.values()])
    .flatmap(mutated)
    .map(lambda der: [base64.b64encode(der).decode(), CERTIFIED["root"].x5c])
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "alg": st.sampled_from(
        ("none", "None", "NONE", "", "HS256", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "rs256", "EdDSA")
    ),
    "kid": st.sampled_from(("key-1", "key-2", "", "../key-1", "/dev/null", "' or 1=1", *HOSTILE_TEXTS)),
    "jwk": st.just(json.loads(STRANGER.jwks())["keys"][0]),
    "jku": st.just("https://other.example/jwks.json"),
    "x5u": st.just("https://other.example/chain.pem"),
    "x5c": st.one_of(_certificates, _damaged_certificate),
    "crit": st.sampled_from((["b64"], ["exp"], [], None)),
    "b64": st.booleans(),
    "typ": st.sampled_from(("JWT", "at+jwt", "JOSE", "", 1)),
    "zip": st.just("DEF"),
}  # fmt: skip
_any_field = st.sampled_from(sorted(_FIELDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.one_of(_FIELDS[name], st.sampled_from(HOSTILE_VALUES)))
)
_headers = st.lists(_any_field, min_size=1, max_size=3).map(lambda changes: {**HEADER, **dict(changes)})
_PUBLIC = SERVICE.key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
_SIGNATURES: tuple[Callable[[bytes], bytes], ...] = (
    STRANGER.signature,
    CERTIFIED["stranger"].rs256,
    lambda message: hmac.digest(_PUBLIC, message, "sha256"),
    lambda message: hmac.digest(b"", message, "sha256"),
    lambda _: base64.urlsafe_b64decode(PARTS[2] + "=="),
    lambda _: bytes(256),
    lambda _: bytes(255) + b"\1",
    lambda _: b"",
    lambda message: message[:256],
)
"""Of those who do not have the service's private key."""


@st.composite
def forged(draw: st.DrawFn) -> str:
    """A header and claims of anybody's choice, signed by who is not the service."""
    header = draw(st.one_of(st.just(HEADER), _headers))
    payload = draw(st.one_of(st.just(CLAIMS), mutated_value(CLAIMS)))
    parts = [as_json(part) for part in (header, payload)]
    if draw(st.integers(0, 9)) == 0:
        parts[0] = draw(mutated_json(parts[0]))
    return compact(parts[0], parts[1], draw(st.sampled_from(_SIGNATURES)))


@st.composite
def re_encoded(draw: st.DrawFn) -> str:
    """A true signature under a header or claims that were changed."""
    header, payload, signature = PARTS
    if draw(st.booleans()):
        header = encoded(as_json(draw(_headers)))
    else:
        payload = encoded(draw(st.one_of(mutated_json(as_json(CLAIMS)), _spelled(CLAIMS))))
    return f"{header}.{payload}.{signature}"


def _spelled(value: Any) -> st.SearchStrategy[bytes]:
    """The same value as another text."""
    texts = (json.dumps(value, separators=(",", ":")), json.dumps(value, indent=1), json.dumps(value) + " ")
    return st.sampled_from([text.encode() for text in texts])


_tokens = st.sampled_from((TOKEN, CHAINED)).flatmap(
    lambda original: st.tuples(
        st.one_of(
            damaged_text(original),
            damaged_text(original),
            rearranged(original),
            forged(),
            forged(),
            re_encoded(),
        ),
        st.just(original),
    )
)


@fuzz(250)
@hypothesis.given(_tokens)
def test_no_token_but_a_true_one_is_accepted(case):
    token, original = case
    assert token in POLICIES or not believed(token, original)


@fuzz(20)
@hypothesis.given(
    mutated_json(as_json(CLAIMS)), st.one_of(_headers.map(as_json), mutated_json(as_json(HEADER)))
)
def test_whatever_the_service_signs_is_read_or_refused(payload, header):
    believed(SERVICE.sign(payload))
    believed(SERVICE.sign(payload, header))


@dataclasses.dataclass
class Exchange:
    """An owner's key and policy, a program's key pair, and the documents between the two."""

    key: DatasetKey
    policy: PolicyFile
    program: hpke.PrivateKey
    request: Request
    release: Release


@pytest.fixture(scope="module")
def exchange(tmp_path_factory) -> Exchange:
    store = KeyStore(str(tmp_path_factory.mktemp("owner") / "keys"))
    store.create("patients")
    policy = PolicyFile("policy.toml", POLICIES[TOKEN], "0c" * 32)
    key, program = store.open("patients"), hpke.PrivateKey.new()
    with clock.fixed_at(NOW):
        offer = make_offer(key, SHAPES, policy, "1h")
        token = SERVICE.token(offer.audience, [offer.nonce, program.fingerprint])
    request = Request(offer, program.public, token)
    return Exchange(key, policy, program, request, make_release(request, key))


def test_the_true_documents_are_accepted(exchange):
    assert accepted(lambda: decide(exchange.request, exchange.policy, exchange.key))
    assert accepted(lambda: ReleasedKey(exchange.release, exchange.program))


@fuzz(20)
@hypothesis.given(st.data())
def test_no_request_but_a_true_one_is_decided_well(exchange, data):
    content = data.draw(mutated_json(exchange.request.to_bytes()))
    asked: list[Request] = []

    def ask() -> None:
        asked.append(Request.from_bytes(content, "the request"))
        decide(asked[0], exchange.policy, exchange.key)

    assert not accepted(ask) or asked == [exchange.request]


@fuzz(20)
@hypothesis.given(st.data())
def test_no_offer_but_a_true_one_is_known_again(exchange, data):
    content = data.draw(mutated_json(exchange.request.offer.to_bytes()))
    read: list[Offer] = []

    def recognise() -> None:
        read.append(Offer.from_bytes(content, "the offer"))
        check_offer(read[0], exchange.key)

    assert not accepted(recognise) or read == [exchange.request.offer]


@fuzz(20)
@hypothesis.given(st.data())
def test_no_release_but_a_true_one_is_opened(exchange, data):
    content = data.draw(mutated_json(exchange.release.to_bytes()))
    read: list[Release] = []

    def open_it() -> None:
        read.append(Release.from_bytes(content, "the release"))
        ReleasedKey(read[0], exchange.program)

    assert not accepted(open_it) or read == [exchange.release]


@fuzz(20)
@hypothesis.given(
    st.one_of(
        mutated_json(SERVICE.jwks().encode()).map(lambda text: {"keys": text}),
        mutated(CERTIFIED["root"].pem.encode()).map(lambda text: {"roots": text}),
    )
)
def test_whatever_is_pinned_believes_no_stranger(pinned):
    with contextlib.suppress(UnicodeDecodeError):
        ((name, content),) = pinned.items()
        text = content.decode()

        def believe_strangers() -> None:
            policy = good_policy(Trust(**{name: text}))
            check_line(policy.trust.described())
            for token in (STRANGER.sign(CLAIMS), CERTIFIED["stranger"].token(CLAIMS)):
                with pytest.raises(AttestationError):
                    evidence(token, policy)

        accepted(believe_strangers)
