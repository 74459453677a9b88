"""Tokens of Azure Attestation and of Trustee, in the shape in which those services give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lpe.pipeline import clock
from lpe.pipeline.attestation.request import Request
from tests.pipeline.attestation.owner import Owner
from tests.pipeline.attestation.stub_service import AUDIENCE

HOST_DATA = "cd" * 32
AZURE, TRUSTEE = "https://shared.weu.attest.azure.net", "https://confidentialcontainers.org"

Claims = dict[str, Any]
Change = Callable[[Claims], Any]


def runtime_data(nonces: list[str]) -> Claims:
    return {"audience": AUDIENCE, "nonces": nonces}


def dated(seconds: int) -> Claims:
    now = int(clock.now().timestamp())
    return {"iat": now, "exp": now + seconds}


def of_azure() -> Claims:
    times = dated(28_800)
    return {"iss": AZURE, "nbf": times["iat"], **times}


def container_group(nonces: list[str]) -> Claims:
    """Of a group of confidential containers on SEV-SNP."""
    return {
        **of_azure(),
        "jti": "5f1a",
        "x-ms-attestation-type": "sevsnpvm",
        "x-ms-compliance-status": "azure-compliant-uvm",
        "x-ms-policy-hash": "9f",
        "x-ms-runtime": {**runtime_data(nonces), "keys": []},
        "x-ms-sevsnpvm-authorkeydigest": "00" * 48,
        "x-ms-sevsnpvm-bootloader-svn": 3,
        "x-ms-sevsnpvm-guestsvn": 2,
        "x-ms-sevsnpvm-hostdata": HOST_DATA,
        "x-ms-sevsnpvm-is-debuggable": False,
        "x-ms-sevsnpvm-launchmeasurement": "0a" * 48,
        "x-ms-sevsnpvm-reportdata": "0b" * 64,
        "x-ms-ver": "1.0",
    }


def virtual_machine(nonces: list[str]) -> Claims:
    """Of a confidential virtual machine, whose own report is nested."""
    of_group = container_group(nonces)
    report = {name: value for name, value in of_group.items() if "sevsnpvm-" in name}
    return {
        **of_azure(),
        "secureboot": True,
        "x-ms-attestation-type": "azurevm",
        "x-ms-isolation-tee": {
            **report,
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-compliance-status": "azure-compliant-cvm",
            "x-ms-runtime": {"keys": []},
        },
        "x-ms-runtime": of_group["x-ms-runtime"],
    }


def trustee(nonces: list[str], tee: str, init_data: str, claims: Claims) -> Claims:
    return {
        **dated(300),
        "eat_profile": "tag:github.com,2024:confidential-containers/Trustee",
        "ear_verifier_id": {"build": "attestation-service 0.1.0", "developer": TRUSTEE},
        "submods": {
            "cpu0": {
                "ear_appraisal_policy_ids": ["default"],
                "ear_status": "affirming",
                "ear_trustworthiness_vector": {"configuration": 2, "executables": 3, "hardware": 2},
                "ear_attester_claims": {
                    "tee": tee,
                    "init_data": init_data,
                    "report_data": "0b" * 64,
                    "claims": claims,
                },
                "ear_verifier_claims": {"runtime_data": {**runtime_data(nonces), "tee-pubkey": {}}},
            }
        },
    }


def snp(nonces: list[str]) -> Claims:
    """Of a confidential container on SEV-SNP."""
    return trustee(nonces, "snp", HOST_DATA, {"measurement": "cw==", "policy_debug_allowed": False})


def tdx(nonces: list[str]) -> Claims:
    """Of a confidential container on TDX."""
    claims = {"quote": {"body": {"mr_td": "0a"}}, "td_attributes": {"debug": False, "key_locker": False}}
    return trustee(nonces, "tdx", HOST_DATA + "00" * 16, claims)


SHAPES = {shape.__name__: shape for shape in (container_group, virtual_machine, snp, tdx)}


def machine(claims: Claims) -> Claims:
    """Where an Azure token speaks of the machine."""
    return claims.get("x-ms-isolation-tee", claims)


def cpu(claims: Claims) -> Claims:
    return claims["submods"]["cpu0"]


@pytest.fixture
def ask(owner: Owner, program) -> Callable[..., Request]:
    """Asks an owner whose policy believes a service, with claims of a shape, changed in a way."""

    def asking(shape: str, change: Change = lambda claims: None, **policy: Any) -> Request:
        azure = shape in ("container_group", "virtual_machine")
        compliance = "azure-compliant-uvm" if shape == "container_group" else "azure-compliant-cvm"
        values = {
            "service": "azure" if azure else "trustee",
            "issuer": AZURE if azure else TRUSTEE,
            "image_digests": (f"sha256:{HOST_DATA}",),
            "hardware": ("sevsnpvm",) if azure else (shape,),
            "support_attributes": (compliance,) if azure else (),
            "confidential_gpu": False,
        }
        owner.rewrite_policy(**{**values, **policy})
        offer = owner.offer()
        claims = SHAPES[shape]([offer.nonce, program.fingerprint])
        change(claims)
        return Request(offer, program.public, owner.service.sign(claims))

    return asking


@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_as_the_service_gives_it_is_believed(owner, ask, shape):
    _, released = owner.release(ask(shape))
    assert released.image_digest == f"sha256:{HOST_DATA}"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_program_of_another_owner_or_offer_is_refused(owner, ask, shape):
    def runtime(claims: Claims) -> Claims:
        return (
            claims["x-ms-runtime"]
            if "x-ms-runtime" in claims
            else cpu(claims)["ear_verifier_claims"]["runtime_data"]
        )

    def refusal(**values: Any) -> str:
        return owner.refusal(ask(shape, lambda claims: runtime(claims).update(values)))

    assert "audience https://other.example is not" in refusal(audience="https://other.example")
    assert "not bound to this nonce" in refusal(nonces=[])
    assert "nonces" in refusal(nonces="x")
    assert "audience" in refusal(audience=None)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_of_another_issuer_is_refused(owner, ask, shape):
    def change(claims: Claims) -> None:
        claims.update(iss="https://other.example", ear_verifier_id={"developer": "https://other.example"})

    assert "issuer https://other.example is not" in owner.refusal(ask(shape, change))


@pytest.mark.parametrize("shape", ["container_group", "virtual_machine"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda claims: machine(claims).update({"x-ms-sevsnpvm-is-debuggable": True}), "sevsnp is debuggable"),
        (lambda claims: machine(claims).pop("x-ms-sevsnpvm-is-debuggable"), "is-debuggable"),
        (lambda claims: machine(claims).update({"x-ms-sevsnpvm-is-debuggable": "false"}), "is-debuggable"),
        (lambda claims: machine(claims).update({"x-ms-sevsnpvm-hostdata": "00" * 32}), "image digest sha256:00"),
        (lambda claims: machine(claims).pop("x-ms-sevsnpvm-hostdata"), "hostdata"),
        (lambda claims: claims.pop("x-ms-runtime"), "no field 'x-ms-runtime'"),
        (lambda claims: claims.update({"x-ms-runtime": "e30"}), "x-ms-runtime"),
        (lambda claims: claims["x-ms-runtime"].clear(), "no field"),
        (lambda claims: machine(claims).update({"x-ms-compliance-status": "none"}), "support attribute azure"),
        (lambda claims: machine(claims).update({"x-ms-attestation-type": "sgx"}), "x-ms-sgx"),
        (lambda claims: machine(claims).update({"x-ms-attestation-type": "tdxvm"}), "x-ms-tdxvm"),
        (lambda claims: claims.update({"x-ms-isolation-tee": {}}), "x-ms-attestation-type"),
    ],
)  # fmt: skip
def test_a_machine_at_azure_that_is_not_as_the_policy_says_is_refused(owner, ask, shape, change, words):
    assert words in owner.refusal(ask(shape, change))


@pytest.mark.parametrize("shape", ["snp", "tdx"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda claims: cpu(claims).update({"ear_status": "warning"}), "ear_status is not affirming"),
        (lambda claims: cpu(claims).update({"ear_status": "contraindicated"}), "ear_status is not affirming"),
        (lambda claims: cpu(claims).update({"ear_status": 32}), "ear_status is not affirming"),
        (lambda claims: cpu(claims).update({"ear_status": True}), "ear_status is not affirming"),
        (lambda claims: cpu(claims).pop("ear_status"), "ear_status is not affirming"),
        (lambda claims: cpu(claims).pop("ear_verifier_claims"), "ear_verifier_claims"),
        (lambda claims: cpu(claims)["ear_verifier_claims"].pop("runtime_data"), "runtime_data"),
        (lambda claims: cpu(claims).pop("ear_attester_claims"), "ear_attester_claims"),
        (lambda claims: cpu(claims)["ear_attester_claims"].update(tee="sample"), "hardware sample"),
        (lambda claims: cpu(claims)["ear_attester_claims"].update(tee="se"), "hardware se"),
        (lambda claims: cpu(claims)["ear_attester_claims"].update(init_data="00" * 32), "image digest sha256:00"),
        (lambda claims: cpu(claims)["ear_attester_claims"].update(init_data=f"{HOST_DATA}01"), "image digest"),
        (lambda claims: cpu(claims)["ear_attester_claims"].update(init_data=""), "image digest"),
        (lambda claims: cpu(claims)["ear_attester_claims"].pop("init_data"), "init_data"),
        (lambda claims: cpu(claims)["ear_attester_claims"].pop("claims"), "claims"),
        (lambda claims: claims["submods"].update(cpu0=[]), "cpu0"),
        (lambda claims: claims["submods"].update(cpu1=claims["submods"].pop("cpu0")), "cpu0"),
    ],
)  # fmt: skip
def test_a_container_that_trustee_does_not_vouch_for_is_refused(owner, ask, shape, change, words):
    assert words in owner.refusal(ask(shape, change))


@pytest.mark.parametrize(
    ("shape", "claims"),
    [
        ("snp", {"policy_debug_allowed": "1"}),
        ("snp", {"policy_debug_allowed": "false"}),
        ("snp", {"policy_debug_allowed": True}),
        ("snp", {"policy_debug_allowed": 1}),
        ("snp", {"policy_debug_allowed": None}),
        ("snp", {}),
        ("tdx", {"td_attributes": {"debug": True}}),
        ("tdx", {"td_attributes": {"debug": "1"}}),
        ("tdx", {"td_attributes": {}}),
    ],
)
def test_a_container_that_can_be_debugged_is_refused(owner, ask, shape, claims):
    def change(token: Claims) -> None:
        cpu(token)["ear_attester_claims"]["claims"] = claims

    assert f"debugging is allowed by {shape}" in owner.refusal(ask(shape, change))


@pytest.mark.parametrize("tee", ["sample", "az-snp-vtpm", "sgx"])
def test_hardware_whose_state_of_debugging_is_unknown_is_refused(owner, ask, tee):
    def change(claims: Claims) -> None:
        cpu(claims)["ear_attester_claims"]["tee"] = tee

    assert f"debugging is unknown for {tee}" in owner.refusal(ask("snp", change, hardware=(tee,)))


def test_a_token_of_another_service_is_refused(owner, ask, program):
    for shape, other in (("container_group", "snp"), ("snp", "container_group")):
        request = ask(shape)
        claims = SHAPES[other]([request.offer.nonce, program.fingerprint])
        claims["iss"] = owner.policy_file().policy.issuer
        claims["ear_verifier_id"] = {"developer": claims["iss"]}
        assert "damaged" in owner.refusal(Request(request.offer, program.public, owner.service.sign(claims)))
