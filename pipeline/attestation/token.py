"""A token of an attestation service (a JSON Web Token, RFC 7519), checked without any network."""

from __future__ import annotations

import base64
import datetime
import re

import tink
from tink import jwt

from lpe.pipeline import clock
from lpe.pipeline.attestation.evidence import Evidence
from lpe.pipeline.attestation.policy import ReleasePolicy
from lpe.pipeline.storage.documents import Fields, parse_document
from lpe.transforms.errors import AttestationError

MOST_BYTES = 64 << 10
"""The longest token that is read."""
SKEW = datetime.timedelta(seconds=60)
"""By how much the clocks of owner and service may differ."""
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REMEDY = "ask the attestation service for another"
_MOST_TIME = 1 << 40  # seconds since 1970


def evidence(token: str, policy: ReleasePolicy) -> Evidence:
    """What a token says, once its signature, issuer, audience and time are as the policy wants them.

    Raises:
      AttestationError: they are not, or the token is damaged.
    """
    if len(token) > MOST_BYTES:
        raise AttestationError(f"a token of {len(token)} characters, more than {MOST_BYTES}")
    if not _COMPACT.fullmatch(token):
        raise AttestationError("not a token: three parts in base64url, joined by dots")
    head, payload, _ = map(_decoded, token.split("."))
    header = parse_document(head, "the token's header", _REMEDY, AttestationError)
    if header.has("crit"):
        header.refuse("it has critical extensions, which are unknown here")
    policy.trust.verify(token, header, _validator())
    # The signature was the service's: from here on this is what it said.
    claims = parse_document(payload, "the token's claims", _REMEDY, AttestationError)
    _check_age(claims, policy)
    found = policy.attested_by.evidence(claims)
    if found.issuer != policy.issuer:
        raise AttestationError(f"issuer {found.issuer[:100]} is not {policy.issuer}")
    if found.audience != policy.audience:
        raise AttestationError(f"audience {found.audience[:100]} is not {policy.audience}")
    return found


def _validator() -> jwt.JwtValidator:
    try:
        return jwt.new_validator(
            # Not every service has the claims `iss` and `aud`: they are compared wherever the service puts them.
            ignore_issuer=True,
            ignore_audiences=True,
            ignore_type_header=True,
            expect_issued_in_the_past=True,
            clock_skew=SKEW,
            fixed_now=clock.now(),
        )
    except tink.TinkError as error:
        raise AssertionError("a validator that Tink refuses") from error


def _decoded(text: str) -> bytes:
    """The bytes of a part of a token, in the one base64url text that stands for them."""
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        content = b""
    # Unused bits at its end would make another text of the same meaning.
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != text:
        raise AttestationError(f"not a token: a part of it is no base64url; {_REMEDY}")
    return content


def _check_age(claims: Fields, policy: ReleasePolicy) -> None:
    issued = claims.number("iat", 0, _MOST_TIME)
    age = clock.now().timestamp() - issued
    if age > (policy.longest + SKEW).total_seconds():
        raise AttestationError(f"the token is {age:.0f} s old, more than the {policy.max_age} of the policy")
