"""The part of `encrypt` that reduces images: the choice of what noise is drawn from, and what there is to be said."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduction import new_noise_secret, new_reduction
from lpe.pipeline.keystore import DatasetKey
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions import Chain

NO_KEY = "there is no key in this: whoever has the dataset sees what the reduction leaves"


@dataclasses.dataclass(frozen=True)
class ChosenReduction:
    """A reduction of the images of a version that is about to be made. It holds a secret, and goes to no worker.

    Attributes:
      chain: the reductions.
      image_shape: (H, W, C) of the images before them; None where they differ in shape.
      noise_secret: what noise is drawn from; None without noise.
    """

    chain: Chain
    image_shape: ImageShape | None
    noise_secret: bytes | None = dataclasses.field(repr=False)

    def settings(self) -> dict[str, Any]:
        """What of it is part of a job's identity: other noise makes other images, which must not meet the same keys."""
        if not self.chain:
            return {}
        secret = self.noise_secret
        noise = None if secret is None else hashlib.sha256(secret).hexdigest()
        return {"reduction": str(self.chain), "noise": noise}

    def recorded_in(self, encryption: Encryption, key: DatasetKey) -> Encryption:
        """The description of an encryption under a key, with that of the reduction."""
        if not self.chain:
            return encryption
        reduction = new_reduction(self.chain, self.image_shape, self.noise_secret, key, encryption.spec.salt)
        return dataclasses.replace(encryption, reduction=reduction)


def chosen_reduction(
    chain: Chain, image_shape: ImageShape | None, home: str, key: DatasetKey, keystore: str
) -> ChosenReduction:
    """The reduction of the next version at a home, with the noise of the newest one that has noise, if one has.

    Args:
      chain: the reductions.
      image_shape: (H, W, C) of the images before them; None where they differ in shape.
      home: the dataset's.
      key: the key that the version will be under.
      keystore: the key store's URI.

    Raises:
      DataError: a version is damaged.
      KeyStoreError: the key of the newest version with noise cannot be had.
    """
    if not chain.random:
        return ChosenReduction(chain, image_shape, None)
    return ChosenReduction(chain, image_shape, _noise_before(home, keystore) or new_noise_secret(key))


def _noise_before(home: str, keystore: str) -> bytes | None:
    """The secret that the noise of a home's versions was drawn from; None where none has noise."""
    for version in reversed(committed_versions(home)):
        dataset = open_dataset(storage.join(home, version))
        encryption = Encryption.of(dataset, "") if dataset.encryption is not None else None
        if encryption is not None and encryption.reduction is not None and encryption.reduction.hidden_noise:
            key = open_dataset_key(dataset, encryption, keystore)
            return encryption.reduction.noise_secret(key, encryption.spec.salt)
    return None


def reduced_note(dataset: Dataset) -> tuple[str, ...]:
    """A line that says that a dataset's images were reduced, for whoever gets them back."""
    if dataset.reduction is None:
        return ()
    return (
        f"the images were reduced before they were encrypted ({dataset.reduction}), and that cannot be undone: these "
        "are the reduced ones",
    )
