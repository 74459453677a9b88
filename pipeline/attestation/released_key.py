"""A released data key, in the memory of the program that it was released to."""

from __future__ import annotations

from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import PrivateKey
from lpe.pipeline.attestation.identity import identity_path, read_identity
from lpe.pipeline.attestation.offer import Offer
from lpe.pipeline.attestation.policy import DatasetRef
from lpe.pipeline.attestation.release import Release
from lpe.pipeline.seal.data_key import KEY_BYTES, DataKey
from lpe.transforms.errors import AttestationError
from lpe.transforms.not_picklable import NotPicklable


class ReleasedKey(NotPicklable):
    """The data key of one dataset, and where the model that is trained with it goes. It cannot be pickled or printed.

    A `DataKeySource`: what `TrainSpec.data_key` takes.

    Args:
      offer: the owner's, which says what the model is encrypted to.
      release: the owner's, in answer to the request.
      private_key: the one whose public part was in the request.

    Attributes:
      offer: as given.

    Raises:
      AttestationError: the release is of another request.
    """

    def __init__(self, offer: Offer, release: Release, private_key: PrivateKey) -> None:
        if (offer.nonce, offer.dataset, offer.policy) != (release.nonce, release.dataset, release.policy):
            raise AttestationError("the release answers another offer; take the one that came for this request")
        self.offer = offer
        try:
            secret = private_key.decrypt(release.ciphertext, release.info)
        except AttestationError:
            raise AttestationError("the release was encrypted to another program, or changed") from None
        if len(secret) != KEY_BYTES:
            raise AttestationError("the release holds no data key; ask for it again")
        self._data_key = DataKey(secret, release.dataset.salt)

    @property
    def dataset(self) -> DatasetRef:
        """The dataset that it opens."""
        return self.offer.dataset

    def load(self) -> DataKey:
        """See `DataKeySource`."""
        return self._data_key

    def __str__(self) -> str:
        return f"released for {self.dataset}"


def open_release(path: str, offer_path: str, identity: str | None = None) -> ReleasedKey:
    """Opens a release that came as a file.

    Args:
      path: the release.
      offer_path: the offer that the request answered.
      identity: the file of the private key that `lpe attest` made; None for where it puts it.

    Raises:
      AttestationError: a file is missing or damaged, or the release is another program's.
      KeyStoreError: others may read the private key.
    """
    release = Release.from_bytes(documents.read(path), path)
    offer = Offer.from_bytes(documents.read(offer_path), offer_path)
    try:
        return ReleasedKey(offer, release, read_identity(identity or identity_path(release.nonce)))
    except AttestationError as error:
        raise AttestationError(f"{path}: {error}") from error
