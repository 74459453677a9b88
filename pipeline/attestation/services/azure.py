"""Tokens of Azure Attestation for confidential containers and machines.

https://learn.microsoft.com/azure/attestation/claim-sets

Such a token has no audience and one nonce. Both are taken from the runtime data that the program had attested, a JSON
object `{"audience": TEXT, "nonces": [TEXT, …]}`, which the service repeats as `x-ms-runtime`.
"""

from __future__ import annotations

from lpe.pipeline.attestation.evidence import DEBUG_OFF, Evidence
from lpe.pipeline.storage.documents import Fields


def evidence(claims: Fields) -> Evidence:
    """What a token says. Raises AttestationError if claims are missing or of another type."""
    # A virtual machine's own report is nested; a container group's claims stand at the top.
    machine = claims.object("x-ms-isolation-tee") if claims.has("x-ms-isolation-tee") else claims
    runtime = claims.object("x-ms-runtime")
    hardware = machine.text("x-ms-attestation-type")
    kind = hardware.removesuffix("vm")
    debuggable = machine.boolean(f"x-ms-{hardware}-is-debuggable")
    return Evidence(
        issuer=claims.text("iss"),
        nonces=runtime.texts("nonces"),
        audience=runtime.text("audience"),
        image_digest=f"sha256:{machine.text(f'x-ms-{hardware}-hostdata').lower()}",
        hardware=hardware,
        debug=f"{kind} is debuggable" if debuggable else DEBUG_OFF,
        support_attributes=(machine.text("x-ms-compliance-status"),),
    )
