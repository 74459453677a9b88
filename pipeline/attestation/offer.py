"""An offer of a data key: the owner's challenge to a program, which anybody may read.

Its MAC is under a key made from the dataset's, so that an owner knows their own offers again and need not keep them.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import clock
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import KEY_BYTES, PrivateKey
from lpe.pipeline.attestation.policy import MOST_TEXT, DatasetRef, PolicyFile
from lpe.pipeline.dataset.checksummed import DIGEST
from lpe.pipeline.dataset.layout import KEYSET_NAME
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.storage.documents import Fields
from lpe.transforms import labels
from lpe.transforms.errors import AttestationError, UsageError

MOST_VALID = datetime.timedelta(days=30)
"""The longest time that an offer may stand."""
_NONCE_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Offer:
    """An offer.

    Attributes:
      dataset: whose data key is offered.
      keyset, key_id: the key that the data key is derived from.
      policy: SHA-256 (hex) of the policy file.
      service, audience: whose token the program is to bring, and addressed to whom.
      nonce: 64 hex digits, which the token must be bound to; good for one release.
      expires: until when the offer stands; as of `clock.stamp`.
      model_key: the owner's HPKE public key, 32 bytes, to which the model is encrypted.
      mac: HMAC-SHA256 (hex) of all that.
    """

    dataset: DatasetRef
    keyset: str
    key_id: int
    policy: str
    service: str
    audience: str
    nonce: str
    expires: str
    model_key: bytes
    mac: str = ""

    def to_json(self) -> dict[str, Any]:
        """The content of an offer."""
        return {
            "dataset": self.dataset.to_json(),
            "keyset": self.keyset,
            "key_id": self.key_id,
            "policy": self.policy,
            "service": self.service,
            "audience": self.audience,
            "nonce": self.nonce,
            "expires": self.expires,
            "model_key": documents.text_of(self.model_key),
            "mac": self.mac,
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all of it, to which a release is bound: neither nonce nor model key can be exchanged."""
        return hashlib.sha256(_canonical(self.to_json())).hexdigest()

    def to_bytes(self) -> bytes:
        """The offer as it is written and sent."""
        return documents.to_bytes(self.to_json())

    @classmethod
    def from_fields(cls, fields: Fields) -> Offer:
        """Reads what `to_json` gives. Raises AttestationError."""
        audience = fields.text("audience")
        if len(audience) > MOST_TEXT:
            fields.refuse("its audience is too long")
        offer = cls(
            dataset=DatasetRef.from_fields(fields.object("dataset")),
            keyset=fields.text("keyset", KEYSET_NAME),
            key_id=fields.integer("key_id", most=2**32 - 1),
            policy=fields.text("policy", DIGEST),
            service=fields.text("service"),
            audience=audience,
            nonce=fields.text("nonce", DIGEST),
            expires=fields.text("expires"),
            model_key=documents.bytes_of(fields, "model_key", KEY_BYTES, KEY_BYTES),
            mac=fields.text("mac", DIGEST),
        )
        try:
            clock.parse_stamp(offer.expires)
        except ValueError:
            fields.refuse("expires is no time with its zone")
        return offer

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Offer:
        """Reads an offer. Raises AttestationError."""
        return cls.from_fields(documents.parse(content, where, *_FIELDS))

    @classmethod
    def nested(cls, fields: Fields) -> Offer:
        """Reads an offer within another document. Raises AttestationError."""
        fields.only(*_FIELDS)
        return cls.from_fields(fields)

    def check_time(self) -> None:
        """Raises AttestationError if the offer stands no more."""
        late = clock.now() - clock.parse_stamp(self.expires)
        if late >= datetime.timedelta(0):
            raise AttestationError(f"the offer expired {clock.in_words(late)} ago; make another")


_FIELDS = tuple(field.name for field in dataclasses.fields(Offer))


def make_offer(key: DatasetKey, dataset: DatasetRef, policy: PolicyFile, valid: str) -> Offer:
    """Makes an offer.

    Args:
      key: the dataset's.
      dataset: whose data key is offered; the policy's.
      policy: what a program and its machine must be.
      valid: how long it stands, e.g. `1h`.

    Raises:
      AttestationError: the policy is of another dataset.
      UsageError: it would stand too long.
    """
    period = clock.parse_period(valid)
    if not datetime.timedelta(0) < period <= MOST_VALID:
        raise UsageError(f"an offer stands 1s to 30d, not {valid}")
    check_dataset(policy, dataset)
    offer = Offer(
        dataset=dataset,
        keyset=key.name,
        key_id=key.id,
        policy=policy.sha256,
        service=policy.policy.service,
        audience=policy.policy.audience,
        nonce=secrets.token_hex(_NONCE_BYTES),
        expires=(clock.now() + period).isoformat(),
        model_key=owner_model_key(key, dataset.salt).public,
    )
    return dataclasses.replace(offer, mac=_mac(key, offer.to_json()))


def check_offer(offer: Offer, key: DatasetKey) -> None:
    """Checks that an offer is the owner's, unchanged. Raises AttestationError."""
    if not hmac.compare_digest(_mac(key, offer.to_json()), offer.mac):
        raise AttestationError("the offer is not one of this owner's, or was changed; make another")


def check_dataset(policy: PolicyFile, dataset: DatasetRef) -> None:
    """Raises AttestationError unless a policy is of a dataset."""
    if policy.policy.dataset.salt != dataset.salt:
        raise AttestationError(
            f"{policy.path}: a policy of {policy.policy.dataset}, another dataset than {dataset}; name its own"
        )


def owner_model_key(key: DatasetKey, salt: str) -> PrivateKey:
    """The owner's key pair for the models that programs train on the dataset with this salt."""
    return PrivateKey(key.compute(labels.model_key(salt), KEY_BYTES))


def _mac(key: DatasetKey, value: Mapping[str, Any]) -> str:
    message = {name: item for name, item in value.items() if name != "mac"}
    salt = value["dataset"]["id"]
    secret = key.compute(labels.offer_key(salt), KEY_BYTES)
    return hmac.digest(secret, _canonical(message), "sha256").hex()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
