"""Tokens of Google Confidential Space.

https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims
"""

from __future__ import annotations

from lpe.pipeline.attestation.evidence import Evidence
from lpe.pipeline.storage.documents import Fields

_SOFTWARE = "CONFIDENTIAL_SPACE"


def evidence(claims: Fields) -> Evidence:
    """What a token says. Raises AttestationError if claims are missing or of another type."""
    if claims.text("swname") != _SOFTWARE:
        claims.refuse(f"swname is not {_SOFTWARE}")
    parts = claims.object("submods")
    space = parts.object("confidential_space") if parts.has("confidential_space") else None
    gpu = parts.object("nvidia_gpu") if parts.has("nvidia_gpu") else None
    return Evidence(
        issuer=claims.text("iss"),
        nonces=text_or_texts(claims, "eat_nonce"),
        audience=claims.text("aud"),
        image_digest=parts.object("container").text("image_digest"),
        hardware=claims.text("hwmodel"),
        debug=claims.text("dbgstat"),
        support_attributes=() if space is None else space.texts("support_attributes"),
        confidential_gpu=gpu is not None and gpu.text("cc_mode") == "ON",
    )


def text_or_texts(claims: Fields, name: str) -> tuple[str, ...]:
    """A claim that is one text, or a list of them."""
    return (claims.text(name),) if isinstance(claims.raw().get(name), str) else claims.texts(name)
