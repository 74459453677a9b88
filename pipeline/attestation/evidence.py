"""What a token of an attestation service says, in the words of no service."""

from __future__ import annotations

import dataclasses

DEBUG_OFF = "disabled-since-boot"
"""The state of debugging of a machine that nobody could look into."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a service attests of a program and its machine.

    Attributes:
      issuer: the service's own name.
      nonces: what the program had the token bound to.
      audience: whom the token is for.
      image_digest: of the program: `sha256:` and 64 hex digits.
      hardware: the technology that keeps the machine's memory confidential, as the service names it.
      debug: `disabled-since-boot`, or another state of debugging.
      support_attributes: what the service says of the state of its own image, e.g. STABLE.
      confidential_gpu: whether the GPU's memory and the way to it are confidential too.
    """

    issuer: str
    nonces: tuple[str, ...]
    audience: str
    image_digest: str
    hardware: str
    debug: str
    support_attributes: tuple[str, ...] = ()
    confidential_gpu: bool = False
