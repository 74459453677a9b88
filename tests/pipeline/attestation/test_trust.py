"""Whose signature is believed: pinned keys, and chains of certificates to a pinned root."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lpe.pipeline import clock
from lpe.pipeline.attestation.evidence import Evidence
from lpe.pipeline.attestation.token import evidence
from lpe.pipeline.attestation.trust import Trust, read_trust
from lpe.transforms.errors import AttestationError, UsageError
from tests.fuzz.trial import check_line
from tests.pipeline.attestation.chains import Certified, certify, es256
from tests.pipeline.attestation.owner import good_policy
from tests.pipeline.attestation.stub_service import HEADER, KID, StubService, claims, compact, encoded


def key_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def key_of(service: StubService, **changes: Any) -> dict[str, Any]:
    """The key that a service publishes; a change to None leaves the field out."""
    key = {**json.loads(service.jwks())["keys"][0], **changes}
    return {name: value for name, value in key.items() if value is not None}


def read(trust: Trust, token: str) -> Evidence:
    return evidence(token, good_policy(trust))


def refusal(trust: Trust, token: str) -> str:
    with pytest.raises(AttestationError) as caught:
        read(trust, token)
    check_line(str(caught.value))
    return str(caught.value)


def unusable(keys: str | None = None, roots: str | None = None) -> str:
    """What an owner is told who pins that."""
    with pytest.raises(AttestationError, match=r"cannot be used|damaged") as caught:
        Trust(keys, roots)
    check_line(str(caught.value))
    return str(caught.value)


@pytest.fixture(scope="module")
def other() -> StubService:
    return StubService()


def test_every_pinned_key_is_believed_under_its_own_name(service, other):
    trust = Trust(key_set(key_of(service), key_of(other, kid="key-2")))
    assert read(trust, service.sign(claims([]))).hardware == "GCP_INTEL_TDX"
    assert read(trust, other.sign(claims([]), {**HEADER, "kid": "key-2"})).hardware == "GCP_INTEL_TDX"
    refusal(trust, other.sign(claims([])))
    refusal(trust, service.sign(claims([]), {**HEADER, "kid": "key-2"}))
    assert "2 pinned keys: key-1, key-2" in trust.described()


def test_keys_for_encryption_are_passed_over(service, other):
    trust = Trust(key_set(key_of(other, use="enc"), key_of(service)))
    read(trust, service.sign(claims([])))
    refusal(trust, other.sign(claims([])))
    assert "0 keys for signatures" in unusable(key_set(key_of(service, use="enc")))


def test_a_key_need_say_neither_use_nor_algorithm_nor_name(service):
    read(Trust(key_set(key_of(service, use=None, alg=None))), service.sign(claims([])))
    nameless = Trust(key_set(key_of(service, kid=None)))
    read(nameless, service.sign(claims([]), {"alg": "RS256"}))
    refusal(nameless, service.sign(claims([])))


def test_two_keys_of_one_name_are_refused(service, other):
    assert "two keys have the kid 'key-1'" in unusable(key_set(key_of(service), key_of(other)))
    assert "two keys" in unusable(key_set(key_of(service, kid=None), key_of(other, kid=None)))


def test_fifty_keys_can_be_pinned(service):
    keys = [key_of(service, kid=f"key-{number}") for number in range(51)]
    assert read(Trust(key_set(*keys[:50])), service.sign(claims([]), {**HEADER, "kid": "key-49"}))
    assert "51 keys" in unusable(key_set(*keys))


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": None},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "RSA-OAEP"},
        {"alg": 1},
        {"kty": "EC"},
        {"kty": "OKP"},
        {"kty": None},
        {"use": 1},
        {"kid": 1},
        {"kid": "a\nb"},
        {"n": ""},
        {"n": "AQAB"},
        {"n": "é"},
        {"n": "***"},
        {"n": 65537},
        {"n": None},
        {"e": ""},
        {"e": "AQ"},
        {"e": "Ag"},
        {"e": None},
        {"n": None, "x5c": []},
        {"n": None, "x5c": [""]},
        {"n": None, "x5c": ["AAAA"]},
        {"n": None, "x5c": ["***"]},
        {"n": None, "x5c": "AAAA"},
    ],
)
def test_a_key_that_can_check_no_signature_is_refused(service, changes):
    unusable(key_set(key_of(service, **changes)))
    unusable(key_set(key_of(service, kid="whole"), key_of(service, **changes)))


def test_an_rsa_key_of_1024_bits_is_refused():
    weak = StubService()
    weak.key = rsa.generate_private_key(65537, 1024)
    assert "'key-1'" in unusable(weak.jwks())


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"keys": {}}', '{"keys": []}', '{"keys": [1]}', '{"keys": [], "keys": []}', "{" * 9000],
)
def test_a_text_that_is_no_key_set_is_refused(text):
    unusable(text)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_text_without_certificates_is_refused(text):
    assert "no PEM certificates" in unusable(roots=text)


def test_an_owner_pins_one_thing(service):
    for keys, roots in ((None, None), (service.jwks(), "x")):
        with pytest.raises(UsageError, match="pin either"):
            Trust(keys, roots)


def test_a_key_on_a_curve_is_believed():
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    x, y = (encoded(number.to_bytes(32, "big")) for number in (point.x, point.y))
    published = {"kty": "EC", "crv": "P-256", "use": "sig", "kid": KID, "x": x, "y": y}
    token = compact({"alg": "ES256", "kid": KID}, claims([]), lambda message: es256(key, message))
    for algorithm in ({}, {"alg": "ES256"}):
        trust = Trust(key_set({**published, **algorithm}))
        read(trust, token)
        refusal(trust, compact({"alg": "ES256", "kid": KID}, claims([]), lambda _: bytes(64)))
    for changes in ({"x": y}, {"crv": "P-384"}, {"alg": "ES384"}, {"alg": "RS256"}, {"y": ""}):
        unusable(key_set({**published, **changes}))


def test_keys_that_are_published_as_certificates_are_believed(service):
    made = certify("https://shared.weu.attest.azure.net")
    trust = Trust(key_set({"kid": "a", "kty": "RSA", "x5c": [made.x5c]}, key_of(service)))
    read(trust, made.token(claims([]), kid="a", x5c=None))
    refusal(trust, made.token(claims([]), x5c=None, kid=KID))
    refusal(trust, service.sign(claims([]), {**HEADER, "kid": "a"}))


def test_keys_are_read_from_a_file(tmp_path, service):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(json.loads(service.jwks()), indent=4))
    read(read_trust(keys=str(path)), service.sign(claims([])))
    for content in (b"\xff", b"{", service.jwks().encode() + b" " * (256 << 10), b"'''"):
        path.write_bytes(content)
        with pytest.raises(AttestationError, match=r"jwks\.json|JWKS"):
            read_trust(keys=str(path))
    for missing in (tmp_path / "none.json", tmp_path):
        with pytest.raises(AttestationError, match=str(missing)):
            read_trust(keys=str(missing))


@dataclasses.dataclass
class Chain:
    """A root, who it certified, and who that certified."""

    root: Certified
    intermediate: Certified
    leaf: Certified

    def token(self, **header: Any) -> str:
        return self.leaf.token(claims([]), self.intermediate, self.root, **header)


@pytest.fixture(scope="module")
def chain() -> Chain:
    root = certify("root")
    intermediate = certify("intermediate", root)
    return Chain(root, intermediate, certify("leaf", intermediate, authority=False))


@pytest.fixture(scope="module")
def rooted(chain) -> Trust:
    return Trust(roots=chain.root.pem)


def test_a_chain_that_leads_to_a_pinned_root_is_believed(chain, rooted):
    read(rooted, chain.token())
    read(rooted, chain.leaf.token(claims([]), chain.intermediate))
    read(rooted, chain.leaf.token(claims([]), chain.root, chain.intermediate))
    read(Trust(roots=certify("another").pem + chain.root.pem), chain.token())
    assert rooted.described() == "a certificate under the pinned CN=root"
    assert rooted.warnings() == ()


def test_a_leaf_may_have_an_alternative_name_or_a_key_on_a_curve(chain, rooted):
    named = certify("leaf", chain.intermediate, authority=False, alternative_name="attest.example")
    read(rooted, named.token(claims([]), chain.intermediate))
    curved = certify("leaf", chain.root, authority=False, key=ec.generate_private_key(ec.SECP256R1()))
    read(rooted, curved.token(claims([])))


def test_a_chain_to_another_root_is_refused(chain, rooted):
    assert "do not lead to a pinned root" in refusal(Trust(roots=certify("root").pem), chain.token())
    root = certify("root")
    intermediate = certify("intermediate", root)
    foreign = Chain(root, intermediate, certify("leaf", intermediate, authority=False))
    assert "do not lead to a pinned root" in refusal(rooted, foreign.token())
    mixed = foreign.leaf.token(claims([]), chain.intermediate, chain.root)
    assert "do not lead to a pinned root" in refusal(rooted, mixed)


def test_a_chain_with_a_gap_is_refused(chain, rooted):
    assert "do not lead to a pinned root" in refusal(rooted, chain.leaf.token(claims([]), chain.root))
    assert "do not lead to a pinned root" in refusal(rooted, chain.leaf.token(claims([])))


def test_certificates_that_have_expired_are_refused(chain, rooted):
    for days in ((-30, -1), (1, 30)):
        leaf = certify("leaf", chain.intermediate, authority=False, days=days)
        assert "do not lead" in refusal(rooted, leaf.token(claims([]), chain.intermediate))
        intermediate = certify("intermediate", chain.root, days=days)
        leaf = certify("leaf", intermediate, authority=False)
        assert "do not lead" in refusal(rooted, leaf.token(claims([]), intermediate))
    old = certify("root", days=(-30, -1))
    leaf = certify("leaf", old, authority=False)
    expired = Trust(roots=old.pem)
    assert "do not lead" in refusal(expired, leaf.token(claims([])))
    assert "has expired" in expired.warnings()[0]


def test_certificates_are_judged_by_the_time_that_it_is(chain, rooted):
    with clock.fixed_at(clock.now() + datetime.timedelta(days=31)):
        assert "do not lead" in refusal(rooted, chain.token())


def test_who_is_no_authority_certifies_nobody(chain, rooted):
    leaf = certify("other", chain.leaf, authority=False)
    token = leaf.token(claims([]), chain.leaf, chain.intermediate)
    assert "do not lead to a pinned root" in refusal(rooted, token)


def test_a_certificate_that_signs_itself_is_refused(chain, rooted):
    for name in ("leaf", "root"):
        own = certify(name, authority=False)
        assert "do not lead" in refusal(rooted, own.token(claims([])))
        assert "do not lead" in refusal(rooted, own.token(claims([]), chain.intermediate, chain.root))


def test_the_certificate_of_another_does_not_help(chain, rooted, service):
    stolen = [chain.leaf.x5c, chain.intermediate.x5c]
    refusal(rooted, service.sign(claims([]), {"alg": "RS256", "x5c": stolen}))
    refusal(rooted, service.sign(claims([]), {"alg": "RS256", "x5c": [*stolen, certify("x").x5c]}))


@pytest.mark.parametrize("x5c", [None, [], "x", [1], [""], ["AAAA"], ["***"], ["é"], [["x"]], {"0": "x"}])
def test_what_is_no_list_of_certificates_is_refused(chain, rooted, x5c):
    refusal(rooted, chain.token(x5c=x5c))
    if isinstance(x5c, list) and x5c:
        refusal(rooted, chain.token(x5c=[chain.leaf.x5c, *x5c]))


def test_a_token_without_certificates_is_refused(rooted, service):
    assert "no field 'x5c'" in refusal(rooted, service.sign(claims([])))


def test_damaged_certificates_are_refused(chain, rooted):
    der = base64.b64decode(chain.intermediate.x5c)
    unused_bits = (
        len(der) - 257
    )  # before the 2048 bits of the signature: 1 if its last one is not used, which may be 0
    for at in (*range(unused_bits), *range(unused_bits + 1, len(der))):
        damaged = base64.b64encode(der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]).decode()
        refusal(rooted, chain.token(x5c=[chain.leaf.x5c, damaged]))
        refusal(rooted, chain.token(x5c=[damaged, chain.leaf.x5c]))


def test_a_damaged_root_is_refused_or_leads_nowhere(chain):
    der = base64.b64decode(chain.root.x5c)
    token = chain.token()
    for at in range(len(der)):
        text = base64.encodebytes(der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]).decode()
        roots = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
        try:
            trust = Trust(roots=roots)
        except AttestationError as error:
            check_line(str(error))
            continue
        check_line(trust.described())
        assert len(trust.warnings()) <= 1
        try:
            read(trust, token)
        except AttestationError as error:
            check_line(str(error))


def test_a_thousand_certificates_are_refused(chain, rooted):
    assert "a token of" in refusal(rooted, chain.token(x5c=[chain.leaf.x5c] * 1000))
    assert "1000 certificates" in refusal(rooted, chain.token(x5c=["AAAA"] * 1000))
    assert "9 certificates" in refusal(rooted, chain.token(x5c=[chain.leaf.x5c] * 9))


def test_the_algorithm_fits_the_key_of_the_leaf(chain, rooted):
    for algorithm in ("ES256", "RS512", "PS256"):
        refusal(rooted, chain.token(alg=algorithm))
    assert "no signature by a private key" in refusal(rooted, chain.token(alg="none"))
