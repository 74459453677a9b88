"""A request for a data key: the program's answer to an offer, which anybody may read."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import KEY_BYTES
from lpe.pipeline.attestation.offer import Offer


@dataclasses.dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
      offer: what it answers.
      public_key: the program's HPKE public key, 32 bytes, to which the data key is to be encrypted.
      token: the attestation service's, bound to the offer's nonce and to that key.
    """

    offer: Offer
    public_key: bytes
    token: str

    def to_bytes(self) -> bytes:
        """The request as it is written and sent."""
        value = {
            "offer": self.offer.to_json(),
            "public_key": documents.text_of(self.public_key),
            "token": self.token,
        }
        return documents.to_bytes(value)

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Request:
        """Reads a request; nothing that it claims is checked. Raises AttestationError if it is damaged."""
        fields = documents.parse(content, where, "offer", "public_key", "token")
        return cls(
            offer=Offer.nested(fields.object("offer")),
            public_key=documents.bytes_of(fields, "public_key", KEY_BYTES, KEY_BYTES),
            token=fields.text("token"),
        )
