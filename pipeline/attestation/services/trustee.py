"""Tokens of Trustee, the attestation service of the Confidential Containers project: an EAT Attestation Result (EAR).

https://github.com/confidential-containers/trustee/blob/main/attestation-service/docs/attestation_token.md

Such a token has no audience. It and the nonces are taken from the runtime data that the program had attested, a JSON
object `{"audience": TEXT, "nonces": [TEXT, …]}`.
"""

from __future__ import annotations

from lpe.pipeline.attestation.evidence import DEBUG_OFF, Evidence
from lpe.pipeline.storage.documents import Fields

_AFFIRMING = ("affirming", 2)  # draft-ietf-rats-ear: the tier's name, or its number
_DEBUG_CLAIMS = {"snp": "policy_debug_allowed", "tdx": "td_attributes.debug"}


def evidence(claims: Fields) -> Evidence:
    """What a token says. Raises AttestationError if claims are missing or of another type."""
    cpu = claims.object("submods").object("cpu0")
    if cpu.raw().get("ear.status") not in _AFFIRMING:
        cpu.refuse("ear.status is not affirming")
    annotated = cpu.object("ear.veraison.annotated-evidence")
    runtime = annotated.object("runtime_data_claims")
    hardware = _hardware(annotated)
    return Evidence(
        nonces=runtime.texts("nonces"),
        audience=runtime.text("audience"),
        image_digest=f"sha256:{annotated.text('init_data').lower()}",
        hardware=hardware,
        debug=_debug(annotated.object(hardware), hardware),
    )


def _hardware(annotated: Fields) -> str:
    kinds = [name for name in ("snp", "tdx", "se", "cca", "sample") if annotated.has(name)]
    if len(kinds) != 1:
        annotated.refuse(f"evidence of {len(kinds)} kinds of hardware")
    return kinds[0]


def _debug(machine: Fields, hardware: str) -> str:
    """The state of debugging; what has no such state was never debugged."""
    *path, name = _DEBUG_CLAIMS.get(hardware, "").split(".")
    if not name:
        return DEBUG_OFF
    for step in path:
        machine = machine.object(step)
    return f"{hardware} allows debugging" if machine.raw().get(name) not in (False, "0", 0) else DEBUG_OFF
