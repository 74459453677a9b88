"""The owner's decision on a request, and the release: the data key, encrypted to the program that asked for it."""

from __future__ import annotations

import dataclasses
import hmac

from lpe.pipeline.attestation import documents, hpke
from lpe.pipeline.attestation.evidence import Evidence
from lpe.pipeline.attestation.offer import Offer, check_dataset, check_offer
from lpe.pipeline.attestation.policy import PolicyFile
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.attestation.token import evidence
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.seal.data_key import KEY_BYTES
from lpe.transforms import labels
from lpe.transforms.errors import AttestationError

_MOST_CIPHERTEXT = 1024


@dataclasses.dataclass(frozen=True)
class Release:
    """A data key for one program.

    Attributes:
      offer: what it answers.
      public_key: the program's, 32 bytes.
      ciphertext: the data key by HPKE, bound to the offer.
    """

    offer: Offer
    public_key: bytes
    ciphertext: bytes

    def to_bytes(self) -> bytes:
        """The release as it is written and sent."""
        value = {
            "offer": self.offer.to_json(),
            "public_key": documents.text_of(self.public_key),
            "ciphertext": documents.text_of(self.ciphertext),
        }
        return documents.to_bytes(value)

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Release:
        """Reads a release. Raises AttestationError if it is damaged."""
        fields = documents.parse(content, where, "offer", "public_key", "ciphertext")
        return cls(
            offer=Offer.nested(fields.object("offer")),
            public_key=documents.bytes_of(fields, "public_key", hpke.KEY_BYTES, hpke.KEY_BYTES),
            ciphertext=documents.bytes_of(fields, "ciphertext", KEY_BYTES, _MOST_CIPHERTEXT),
        )

    @property
    def info(self) -> bytes:
        """The label that the ciphertext is bound to."""
        return labels.released_data_key(self.offer.digest)


def decide(request: Request, policy: PolicyFile, key: DatasetKey) -> Evidence:
    """Checks a request by a policy, without any network; that its nonce is fresh is for the audit log to say.

    Args:
      request: the program's.
      policy: the owner's, as it is now.
      key: of the dataset that the offer names.

    Returns:
      What the attestation service said.

    Raises:
      AttestationError: the data key is not for this program; the message says why.
    """
    offer = request.offer
    check_offer(offer, key)
    offer.check_time()
    check_dataset(policy, offer.dataset)
    if not hmac.compare_digest(offer.policy, policy.sha256):
        raise AttestationError("the policy is not the one that the offer was made under; make another offer")
    found = evidence(request.token, policy.policy)
    for what, nonce in (("nonce", offer.nonce), ("public key", hpke.fingerprint(request.public_key))):
        if not any(hmac.compare_digest(nonce.encode(), given.encode()) for given in found.nonces):
            raise AttestationError(f"the token is not bound to this {what}")
    lack = policy.policy.shortfall(found)
    if lack is not None:
        raise AttestationError(lack)
    return found


def make_release(request: Request, key: DatasetKey) -> Release:
    """Encrypts the data key to the public key of a request that was decided on, and whose nonce is used up.

    Raises:
      AttestationError: nothing can be encrypted to that key.
    """
    release = Release(request.offer, request.public_key, b"")
    data_key = key.compute(labels.data_key(request.offer.dataset.salt), KEY_BYTES)
    ciphertext = hpke.encrypt(request.public_key, data_key, release.info)
    return dataclasses.replace(release, ciphertext=ciphertext)
