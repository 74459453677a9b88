"""Requests that an owner refuses: what is wrong is said in a line and logged, and nothing is released."""

from __future__ import annotations

import dataclasses
import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lpe
from lpe.pipeline import clock
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.jobs import releasing
from lpe.transforms.errors import AttestationError, KeyStoreError
from tests.pipeline.attestation.owner import seconds_from_now
from tests.pipeline.attestation.stub_service import SUBMODS

OTHER_HASH = "12" * 32
SPACE = "confidential_space"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "https://other.example"}, "audience https://other.example is not"),
        ({"iss": "https://other.example"}, "issuer https://other.example is not"),
        ({"hwmodel": "GCP_AMD_SEV"}, "hardware GCP_AMD_SEV is not in the policy"),
        ({"hwmodel": "GCP_SHIELDED_VM"}, "hardware GCP_SHIELDED_VM"),
        ({"swname": "GCE"}, "swname is not CONFIDENTIAL_SPACE"),
        ({"dbgstat": "enabled"}, "debugging is enabled"),
        ({"dbgstat": ""}, "debugging is , not"),
        ({"submods": {**SUBMODS, "container": {"image_digest": f"sha256:{OTHER_HASH}"}}}, "image digest sha256:12"),
        ({"submods": {**SUBMODS, "container": {"image_digest": "latest"}}}, "image digest latest"),
        ({"submods": {**SUBMODS, "container": {}}}, "no field 'image_digest'"),
        ({"submods": {**SUBMODS, SPACE: {"support_attributes": ["USABLE"]}}}, "STABLE is missing"),
        ({"submods": {**SUBMODS, SPACE: {"support_attributes": []}}}, "STABLE is missing"),
        ({"submods": {name: value for name, value in SUBMODS.items() if name != SPACE}}, "STABLE is missing"),
        ({"submods": {**SUBMODS, "nvidia_gpu": {"cc_mode": "OFF"}}}, "GPU is not in confidential mode"),
        ({"submods": {**SUBMODS, "nvidia_gpu": {"cc_mode": "DEVTOOLS"}}}, "GPU is not in confidential mode"),
        ({"submods": {name: SUBMODS[name] for name in (SPACE, "container")}}, "GPU is not in confidential mode"),
    ],
)  # fmt: skip
def test_a_program_that_is_not_as_the_policy_says_is_refused(owner, program, claims, words):
    assert words in owner.refusal(owner.request(owner.offer(), program, **claims))


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"exp": -120}, "expired"),
        ({"nbf": 120}, "cannot be used before"),
        ({"iat": 120}, "iat claim in the future"),
        ({"iat": -700}, "s old, more than the 10m of the policy"),
    ],
)
def test_a_token_of_another_time_is_refused(owner, program, times, words):
    request = owner.request(owner.offer(), program, **seconds_from_now(times))
    assert words in owner.refusal(request)


@pytest.mark.parametrize("times", [{"exp": -30}, {"nbf": 30}, {"iat": 30}, {"iat": -630}])
def test_clocks_may_differ_by_half_a_minute(owner, program, times):
    owner.release(owner.request(owner.offer(), program, **seconds_from_now(times)))


NEEDED_CLAIMS = ("exp", "iat", "iss", "aud", "eat_nonce", "swname", "hwmodel", "dbgstat", "submods")


@pytest.mark.parametrize("name", NEEDED_CLAIMS)
def test_a_token_without_a_claim_is_refused(owner, program, name):
    offer = owner.offer()
    claims = owner.claims(offer, program.public)
    del claims[name]
    words = {"exp": "missing an expiration"}.get(name, name)
    assert words in owner.refusal(Request(offer, program.public, owner.service.sign(claims)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eat_nonce", [1, 2]),
        ("eat_nonce", {"0": "x"}),
        ("eat_nonce", None),
        ("submods", []),
        ("submods", {**SUBMODS, "container": [SUBMODS["container"]]}),
        ("submods", {**SUBMODS, "container": {"image_digest": [SUBMODS["container"]["image_digest"]]}}),
        ("submods", {**SUBMODS, SPACE: {"support_attributes": "STABLE"}}),
        ("submods", {**SUBMODS, "nvidia_gpu": {"cc_mode": True}}),
        ("aud", ["https://hospital.example/lpe"]),
        ("aud", 1),
        ("iss", ["https://confidentialcomputing.googleapis.com"]),
        ("hwmodel", ["GCP_INTEL_TDX"]),
        ("dbgstat", False),
        ("exp", "never"),
        ("iat", "now"),
        ("iat", True),
        ("iat", None),
        ("exp", 1 << 70),
    ],
)  # fmt: skip
def test_a_claim_of_another_type_is_refused(owner, program, name, value):
    owner.refusal(owner.request(owner.offer(), program, **{name: value}))


def test_a_token_without_the_nonce_of_the_offer_is_refused(owner, program):
    for nonces in ([program.fingerprint], [program.fingerprint, OTHER_HASH], program.fingerprint):
        request = owner.request(owner.offer(), program, eat_nonce=nonces)
        assert "not bound to this nonce" in owner.refusal(request)


def test_a_token_that_is_not_bound_to_the_public_key_is_refused(owner, program):
    offer = owner.offer()
    for nonces in ([offer.nonce], [offer.nonce, OTHER_HASH], offer.nonce):
        request = owner.request(offer, program, eat_nonce=nonces)
        assert "not bound to this public key" in owner.refusal(request)


def test_a_public_key_cannot_be_swapped_on_the_way(owner, program):
    request = owner.request(owner.offer(), program)
    swapped = dataclasses.replace(request, public_key=hpke.PrivateKey.new().public)
    assert "not bound to this public key" in owner.refusal(swapped)


def test_an_offer_is_good_for_one_release(owner, program):
    offer = owner.offer()
    request = owner.request(offer, program)
    owner.release(request)
    assert "the offer was used" in owner.refusal(request)
    assert "the offer was used" in owner.refusal(owner.request(offer, hpke.PrivateKey.new()))


def test_of_requests_at_the_same_time_one_is_answered(owner, program):
    offer = owner.offer()
    programs = [program, program, hpke.PrivateKey.new(), hpke.PrivateKey.new()]
    requests = [owner.request(offer, one) for one in programs]

    def answered(request: Request) -> bool:
        try:
            owner.release(request)
        except AttestationError as error:
            assert "the offer was used" in str(error)  # noqa: PT017  (its thread is another)
            return False
        return True

    with ThreadPoolExecutor(len(requests)) as pool:
        assert sum(pool.map(answered, requests)) == 1
    assert len(owner.events(releasing.RELEASED)) == 1


def test_a_refusal_does_not_use_up_the_offer(owner, program):
    offer = owner.offer()
    owner.refusal(owner.request(offer, program, dbgstat="enabled"))
    owner.release(owner.request(offer, program))


LOW_ORDER_POINTS = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
def test_nothing_is_encrypted_to_a_point_of_low_order_and_the_offer_stands(owner, program, point):
    offer, public = owner.offer(), bytes.fromhex(point)
    token = owner.service.sign(owner.claims(offer, public))
    assert "no point of X25519" in owner.refusal(Request(offer, public, token))
    owner.release(owner.request(offer, program))


CHANGED_FIELDS = {
    "policy": OTHER_HASH,
    "service": "azure",
    "audience": "https://other.example",
    "nonce": OTHER_HASH,
    "expires": "2099-01-01T00:00:00+00:00",
    "model_key": bytes(range(32)),
    "mac": OTHER_HASH,
}


@pytest.mark.parametrize("field", CHANGED_FIELDS)
def test_an_offer_with_a_changed_field_is_refused(owner, program, field):
    changed = dataclasses.replace(owner.offer(), **{field: CHANGED_FIELDS[field]})
    assert "not one of this owner's, or was changed" in owner.refusal(owner.request(changed, program))


@pytest.mark.parametrize("field", ["salt", "name", "version"])
def test_an_offer_of_a_renamed_dataset_is_refused(owner, program, field):
    offer = owner.offer()
    dataset = dataclasses.replace(
        offer.dataset, **{field: {"salt": OTHER_HASH, "name": "x", "version": "9.9.9"}[field]}
    )
    changed = dataclasses.replace(offer, dataset=dataset)
    assert "not one of this owner's, or was changed" in owner.refusal(owner.request(changed, program))


def test_an_offer_under_another_key_is_refused(owner, program):
    offer = owner.offer()
    newer = lpe.KeyStore(owner.keystore).rotate("patients")[-1].id
    changed = dataclasses.replace(offer, key_id=newer)
    assert "not one of this owner's" in owner.refusal(owner.request(changed, program))
    unknown = dataclasses.replace(offer, key_id=1)
    owner.refusal(owner.request(unknown, program), KeyStoreError)
    named = dataclasses.replace(offer, keyset="others")
    assert "the offer is of the keyset 'others'" in owner.refusal(owner.request(named, program))


def test_an_offer_of_another_dataset_is_refused(owner, make_owner, program):
    other = make_owner(owner.folder / "other", 41, owner.keystore)
    offer = other.offer()
    assert "another dataset than" in owner.refusal(owner.request(offer, program))
    renamed = dataclasses.replace(offer, dataset=owner.offer().dataset, policy=owner.policy_file().sha256)
    assert "not one of this owner's" in owner.refusal(owner.request(renamed, program))
    other.release(other.request(offer, program))


def test_an_offer_of_another_owner_is_refused(owner, make_owner, program):
    foreign = make_owner(owner.folder / "other").offer()
    owner.refusal(owner.request(foreign, program), KeyStoreError)
    own = owner.offer()
    for changes in (
        {"key_id": own.key_id},
        {"key_id": own.key_id, "dataset": own.dataset, "policy": own.policy},
    ):
        changed = dataclasses.replace(foreign, **changes)
        assert "not one of this owner's" in owner.refusal(owner.request(changed, program))


def test_an_offer_stands_until_it_expires(owner, program):
    start = clock.now()
    offer = owner.offer("1h")
    for late in (0, 1, 86_400):
        with clock.fixed_at(start + datetime.timedelta(hours=1, seconds=late + 1)):
            assert "the offer expired" in owner.refusal(owner.request(offer, program))
    with clock.fixed_at(start + datetime.timedelta(minutes=59)):
        owner.release(owner.request(offer, program))


def test_a_policy_that_was_changed_after_the_offer_refuses(owner, program):
    offer = owner.offer()
    path = Path(owner.policy)
    content = path.read_bytes()
    for changed in (content + b"# a comment\n", content + b"\n", content.replace(b"10m", b"11m")):
        path.write_bytes(changed)
        assert "not the one that the offer was made under" in owner.refusal(owner.request(offer, program))
    path.write_bytes(content)
    owner.release(owner.request(offer, program))


def test_a_policy_with_any_byte_changed_refuses(owner, program):
    request = owner.request(owner.offer(), program)
    path = Path(owner.policy)
    content = path.read_bytes()
    for at in range(0, len(content), 31):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        owner.refusal(request)


def test_a_policy_that_is_no_file_refuses(owner, program):
    request = owner.request(owner.offer(), program)
    Path(owner.policy).unlink()
    assert "no such file" in owner.refusal(request)
    Path(owner.policy).mkdir()
    assert owner.policy in owner.refusal(request)


def test_a_key_that_was_disabled_after_the_offer_refuses(owner, program):
    request = owner.request(owner.offer(), program)
    store = lpe.KeyStore(owner.keystore)
    store.rotate("patients")
    store.disable("patients", request.offer.key_id)
    assert "disabled" in owner.refusal(request, KeyStoreError)


@pytest.mark.parametrize("field", ["offer", "public_key", "token", "format_version"])
def test_a_request_with_a_field_missing_twice_or_of_another_type_is_refused(owner, program, field):
    content = owner.request(owner.offer(), program).to_bytes()
    value = json.loads(content)
    for changed in (
        {name: item for name, item in value.items() if name != field},
        {**value, field: None},
        {**value, field: [value[field]]},
    ):
        owner.refusal(json.dumps(changed).encode())
    twice = content.replace(f'"{field}":'.encode(), f'"{field}": 1, "{field}":'.encode(), 1)
    assert "two values" in owner.refusal(twice)
    assert "unknown field" in owner.refusal(content.replace(b"{", b'{"more": 1,', 1))


def test_a_request_in_which_a_field_of_the_offer_is_there_twice_is_refused(owner, program):
    content = owner.request(owner.offer(), program).to_bytes()
    assert "two values" in owner.refusal(content.replace(b'"nonce":', b'"nonce": "00", "nonce":'))
    assert "unknown field" in owner.refusal(content.replace(b'"nonce":', b'"more": 1, "nonce":'))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"null", b'{"a":' * 5000, b"[" * 200_000])
def test_a_request_that_is_no_request_is_refused(owner, content):
    owner.refusal(content)


def test_a_request_of_ten_megabytes_is_refused_unread(owner, program):
    content = owner.request(owner.offer(), program).to_bytes() + b" " * 10_000_000
    assert "longer than 256 KiB" in owner.refusal(content)
    path, output = owner.folder / "long.request", owner.folder / "release"
    path.write_bytes(content)
    with pytest.raises(AttestationError, match="larger than 256 KB"):
        lpe.release_to_file(str(path), owner.policy, owner.keystore, "patients", str(output))
    assert "larger" in owner.events(releasing.REFUSED)[-1]["reason"]
    assert not output.exists()


def test_refusals_cannot_fill_the_log(owner, program, monkeypatch):
    monkeypatch.setattr(releasing, "MOST_REFUSALS", 3)
    for _ in range(5):
        with pytest.raises(AttestationError):
            owner.release(b"{}")
    assert len(owner.events(releasing.REFUSED)) == 3
    owner.release(owner.request(owner.offer(), program))
    with clock.fixed_at(clock.now() + datetime.timedelta(days=1, minutes=1)):
        owner.refusal(b"{}")


def test_a_log_that_was_cut_releases_nothing(owner, program):
    request = owner.request(owner.offer(), program)
    owner.release(request)
    log = Path(owner.keystore, "patients.log.jsonl")
    *kept, last = log.read_bytes().splitlines(keepends=True)
    assert releasing.RELEASED.encode() in last
    log.write_bytes(b"".join(kept))
    for asked in (request, owner.request(owner.offer(), program)):
        with pytest.raises(KeyStoreError, match="nobody can tell what was released"):
            owner.release(asked)
    trail = lpe.KeyStore(owner.keystore).audit_log("patients")
    assert trail.problems
    assert releasing.RELEASED not in [line["event"] for line in trail.events]
