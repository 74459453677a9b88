"""The owner's part of an attested release: an offer of a sealed dataset's data key, and the decision on a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.offer import Offer, check_dataset, make_offer
from lpe.pipeline.attestation.policy import DatasetRef, PolicyFile, read_policy
from lpe.pipeline.attestation.release import Release, decide, make_release
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.dataset.manifest import is_salt
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import DatasetKey, KeyStore, Registry
from lpe.transforms.errors import AttestationError, DataError, LpeError, one_line

RELEASED = "data key released"
REFUSED = "release refused"
MOST_REFUSALS = 1000
"""How many refusals of a day the audit log tells of: whoever may ask must not be able to fill it."""
_MOST_REASON = 200


@dataclasses.dataclass(frozen=True)
class Released:
    """A data key that was released.

    Attributes:
      name: the keyset that it is derived from.
      dataset: which dataset it opens.
      image_digest, hardware: of the program, and its machine, that it was encrypted to.
      output: the file; None where it was sent.
    """

    name: str
    dataset: DatasetRef
    image_digest: str
    hardware: str
    output: str | None = None

    def properties(self) -> dict[str, str]:
        """Rows of a table."""
        rows = {"dataset": str(self.dataset), "program": self.image_digest, "hardware": self.hardware}
        return rows if self.output is None else {**rows, "release": self.output}

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is the command's."""
        return {**dataclasses.asdict(self), "dataset": self.dataset.to_json()}


def sealed_dataset(dataset: str) -> DatasetRef:
    """What a policy calls a sealed dataset; needs no key.

    Args:
      dataset: its home or version directory.

    Raises:
      DataError: there is no dataset, or one that is not sealed, or of format 1.
    """
    return _sealed(dataset)[1]


def offer_data_key(dataset: str, keystore: str, name: str, policy: PolicyFile, valid: str = "1h") -> Offer:
    """Offers the data key of a sealed dataset; nothing is written.

    Args:
      dataset: the sealed dataset's home or version directory, which is checked under the key.
      keystore: the key store's URI.
      name: the keyset that the dataset is encrypted under.
      policy: what a program and its machine must be.
      valid: how long the offer stands, e.g. `1h`.

    Raises:
      AttestationError: the policy is of another dataset.
      DataError: there is no dataset, one that is not sealed under a key of this keyset, or it was changed.
      KeyStoreError: the key cannot be had.
      UsageError: the offer would stand too long.
    """
    data, ref, encryption = _sealed(dataset)
    check_dataset(policy, ref)
    if encryption.key_name != name:
        raise DataError(f"{dataset}: not encrypted under a key of {name!r}, but of {encryption.key_name!r}")
    key = open_dataset_key(data, encryption, keystore)
    return make_offer(key, ref, policy, valid)


def release_data_key(request: bytes, policy: str, keystore: str, name: str) -> tuple[Release, Released]:
    """Decides on a request, and makes the release. Either is logged before anything leaves.

    Args:
      request: the document that the program sent.
      policy: the path of the policy, which is read as it is now.
      keystore: the key store's URI.
      name: the keyset that the data key was offered from.

    Returns:
      The release, and what may be said of it.

    Raises:
      AttestationError: the data key is not for this program; the message says why.
      KeyStoreError: the key cannot be had, or the log cannot be written.
    """
    asked: Request | None = None
    try:
        asked = Request.from_bytes(request, "the request")
        return _released(asked, read_policy(policy), keystore, name)
    except LpeError as error:
        offered = {} if asked is None else {"dataset": str(asked.offer.dataset), "nonce": asked.offer.nonce}
        _log_refusal(keystore, name, error, offered)
        raise


def _released(request: Request, policy: PolicyFile, keystore: str, name: str) -> tuple[Release, Released]:
    offer = request.offer
    if offer.keyset != name:
        raise AttestationError(f"the offer is of the keyset {offer.keyset!r}, not {name!r}; name that")
    key: DatasetKey = KeyStore(keystore).open(name, offer.key_id)
    evidence = decide(request, policy, key)
    release = make_release(request, key)
    first = Registry(keystore).log_once(
        name,
        RELEASED,
        {"nonce": offer.nonce},
        dataset=str(offer.dataset),
        key=key.id,
        policy=policy.sha256,
        program=evidence.image_digest,
        hardware=evidence.hardware,
    )
    if not first:
        raise AttestationError("the offer was used: its nonce is good for one release; make another offer")
    return release, Released(name, offer.dataset, evidence.image_digest, evidence.hardware)


def release_to_file(request: str, policy: str, keystore: str, name: str, output: str) -> Released:
    """`release_data_key` with a request and a release in files.

    Raises:
      AttestationError, KeyStoreError: see there; or the request is missing or too long.
      UsageError: the output exists.
    """
    documents.check_new(output)
    try:
        content = documents.read(request)
    except AttestationError as error:
        _log_refusal(keystore, name, error, {})
        raise
    release, released = release_data_key(content, policy, keystore, name)
    storage.write_atomic(output, release.to_bytes())
    return dataclasses.replace(released, output=output)


def _log_refusal(keystore: str, name: str, error: LpeError, details: Mapping[str, str]) -> None:
    """Gives a refusal its line, even where the same request comes again."""
    Registry(keystore).log_bounded(
        name, REFUSED, MOST_REFUSALS, **details, reason=one_line(error, _MOST_REASON)
    )


def _sealed(dataset: str) -> tuple[Dataset, DatasetRef, Encryption]:
    """A sealed dataset, opened, with its name in documents and its encryption."""
    data = open_dataset(dataset)
    encryption = None if data.encryption is None else Encryption.from_json(data.encryption, data.directory)
    if encryption is None or encryption.seal is None:
        raise DataError(f"{data.directory}: not sealed; encrypt it with --seal, so that there is a data key")
    salt = encryption.spec.salt
    if not is_salt(salt, 2):
        raise DataError(f"{data.directory}: format 1 cannot be released; rotate the key and re-encrypt it")
    return data, DatasetRef(salt, data.name, data.version), encryption
