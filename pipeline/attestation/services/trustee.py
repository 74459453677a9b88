"""Tokens of Trustee, the attestation service of the Confidential Containers project: an EAT Attestation Result (EAR).

https://github.com/confidential-containers/trustee/blob/main/attestation-service/docs/attestation_token.md

Such a token has no issuer but the developer of its verifier, and no audience. The latter and the nonces are taken from
the runtime data that the program had attested, a JSON object `{"audience": TEXT, "nonces": [TEXT, …]}`.
"""

from __future__ import annotations

from lpe.pipeline.attestation.evidence import DEBUG_OFF, Evidence
from lpe.pipeline.storage.documents import Fields

_AFFIRMING = ("affirming", 2)  # draft-ietf-rats-ear: the tier's name, or its number
_DEBUG_CLAIMS = {"snp": ("policy_debug_allowed",), "tdx": ("td_attributes", "debug")}
_NO_DEBUG = ("se", "cca")
"""Hardware that has no such state."""
_DIGEST_DIGITS = 64


def evidence(claims: Fields) -> Evidence:
    """What a token says. Raises AttestationError if claims are missing or of another type."""
    cpu = claims.object("submods").object("cpu0")
    if cpu.raw().get("ear_status") not in _AFFIRMING:
        cpu.refuse("ear_status is not affirming")
    attested = cpu.object("ear_attester_claims")
    runtime = cpu.object("ear_verifier_claims").object("runtime_data")
    hardware = attested.text("tee")
    # TDX has 48 bytes for what is SHA-256, and fills them up with zeros.
    digest = attested.text("init_data").lower()
    if not digest[_DIGEST_DIGITS:].strip("0"):
        digest = digest[:_DIGEST_DIGITS]
    return Evidence(
        issuer=claims.object("ear_verifier_id").text("developer"),
        nonces=runtime.texts("nonces"),
        audience=runtime.text("audience"),
        image_digest=f"sha256:{digest}",
        hardware=hardware,
        debug=_debug(attested.object("claims"), hardware),
    )


def _debug(machine: Fields, hardware: str) -> str:
    """The state of debugging."""
    if hardware in _NO_DEBUG:
        return DEBUG_OFF
    if hardware not in _DEBUG_CLAIMS:
        return f"unknown for {hardware}"
    *path, name = _DEBUG_CLAIMS[hardware]
    for step in path:
        machine = machine.object(step)
    value = machine.raw().get(name)
    return DEBUG_OFF if value is False or value == "0" else f"allowed by {hardware}"
