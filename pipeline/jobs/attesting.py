"""The program's part of an attested release: a key pair, a token that is bound to it, and the request."""

from __future__ import annotations

import dataclasses
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import PrivateKey
from lpe.pipeline.attestation.identity import identity_path, open_identity
from lpe.pipeline.attestation.offer import Offer
from lpe.pipeline.attestation.owner_service import OwnerService
from lpe.pipeline.attestation.providers import CONFIDENTIAL_SPACE, Provider, provider
from lpe.pipeline.attestation.released_key import ReleasedKey
from lpe.pipeline.attestation.request import Request


@dataclasses.dataclass(frozen=True)
class Attested:
    """A request that was written.

    Attributes:
      dataset: whose data key is asked for, as the offer names it.
      fingerprint: SHA-256 (hex) of the program's public key.
      identity: the file, in memory, of the private key.
      output: the file of the request.
    """

    dataset: str
    fingerprint: str
    identity: str
    output: str

    def properties(self) -> dict[str, str]:
        """Rows of a table."""
        return {
            "dataset": self.dataset,
            "public key": self.fingerprint,
            "private key": self.identity,
            "request": self.output,
        }

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return dataclasses.asdict(self)


def attest(
    offer: str, output: str, token_provider: str = CONFIDENTIAL_SPACE, identity: str | None = None
) -> Attested:
    """Answers an offer that came as a file.

    Args:
      offer: the offer.
      output: the file of the request.
      token_provider: see `providers.provider`.
      identity: the file, in memory, of the private key; it is made if there is none. None for one of its own in this
        user's directory below /dev/shm.

    Raises:
      AttestationError: the offer is damaged or expired, there is no token to be had, or no place in memory.
      UsageError: there is no such provider, or the output exists.
    """
    ask = provider(token_provider)
    documents.check_new(output)
    answered = Offer.from_bytes(documents.read(offer), offer)
    answered.check_time()
    path = identity or identity_path(answered.nonce)
    key = open_identity(path)
    storage.write_atomic(output, _request(answered, key, ask).to_bytes())
    return Attested(str(answered.dataset), key.fingerprint, path, output)


def attest_to(owner: OwnerService, token_provider: str = CONFIDENTIAL_SPACE) -> ReleasedKey:
    """Asks an owner's key server for its dataset's data key; nothing is written.

    Args:
      owner: the server.
      token_provider: see `providers.provider`; a file cannot know the nonce.

    Raises:
      AttestationError: the owner refuses, cannot be reached, or there is no token to be had.
      BusyError: the server is asked too often.
      UsageError: there is no such provider.
    """
    ask = provider(token_provider)
    key = PrivateKey.new()
    return ReleasedKey(owner.release(_request(owner.offer(), key, ask)), key)


def _request(offer: Offer, key: PrivateKey, ask: Provider) -> Request:
    return Request(offer, key.public, ask(offer.audience, (offer.nonce, key.fingerprint)))
