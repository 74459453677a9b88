"""A released data key, in the memory of the program that it was released to."""

from __future__ import annotations

from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import PrivateKey
from lpe.pipeline.attestation.identity import identity_path, read_identity
from lpe.pipeline.attestation.policy import DatasetRef
from lpe.pipeline.attestation.release import Release
from lpe.pipeline.seal.data_key import KEY_BYTES, DataKey
from lpe.transforms.errors import AttestationError
from lpe.transforms.not_picklable import NotPicklable


class ReleasedKey(NotPicklable):
    """The data key of one dataset, and where the model that is trained with it goes. It cannot be pickled or printed.

    A `DataKeySource`: what `TrainSpec.data_key` takes.

    Args:
      release: the owner's, in answer to a request.
      private_key: the one whose public part was in the request.

    Attributes:
      offer: what was answered; it says what the model is encrypted to.

    Raises:
      AttestationError: the release is for another program, or of another offer.
    """

    def __init__(self, release: Release, private_key: PrivateKey) -> None:
        self.offer = release.offer
        try:
            if release.public_key != private_key.public:
                raise AttestationError("names another public key")
            secret = private_key.decrypt(release.ciphertext, release.info)
        except AttestationError:
            raise AttestationError(
                "this release was encrypted to another program or for another offer, or was changed; ask again"
            ) from None
        if len(secret) != KEY_BYTES:
            raise AttestationError("this release holds no data key; ask for it again")
        self._data_key = DataKey(secret, release.offer.dataset.salt)

    @property
    def dataset(self) -> DatasetRef:
        """The dataset that it opens."""
        return self.offer.dataset

    def load(self) -> DataKey:
        """See `DataKeySource`."""
        return self._data_key

    def __str__(self) -> str:
        return f"released for {self.dataset}"


def open_release(path: str, identity: str | None = None) -> ReleasedKey:
    """Opens a release that came as a file.

    Args:
      path: the release.
      identity: the file of the private key that `lpe attest` made; None for where it puts it.

    Raises:
      AttestationError: a file is missing or damaged, or the release is another program's.
      KeyStoreError: others may read the private key.
    """
    release = Release.from_bytes(documents.read(path), path)
    private_key = read_identity(identity or identity_path(release.offer.nonce))
    try:
        return ReleasedKey(release, private_key)
    except AttestationError as error:
        raise AttestationError(f"{path}: {error}") from error
