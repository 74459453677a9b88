"""The MACs of an encrypted dataset: that its manifest, and so every file, is as its owner wrote it.

A manifest holds a SHA-256 of every shard and of every other file of its version, in order, with splits, lengths and
the seal. HMAC-SHA256 over it under a key made from the dataset's key tells everybody who has the key store that
nothing was changed, left out, put in, swapped or stripped; a second one, under a key made from the data key, tells
it to whoever opens the seal. An unsealed dataset has the second one alone: who unseals has no other key.

The receipts of finished shards have the same MACs while a version is being made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.manifest import Sign
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.seal.authentication import compare_mac, is_without_mac, manifest_of
from lpe.pipeline.seal.data_key import load_data_key


class Signer(Protocol):
    """A picklable description of how a new version's MACs are made; it names keys without holding them."""

    def open(self) -> Sign:
        """Fetches the keys. Raises KeyStoreError if one cannot be had."""


@dataclasses.dataclass(frozen=True)
class OwnerSigner:
    """The MACs of a dataset that its owner encrypts.

    Attributes:
      keystore: where the key is.
      encryption: which key; whether the images are sealed.
    """

    keystore: str
    encryption: Encryption

    def open(self) -> Sign:
        """See `Signer`."""
        key, salt = self.encryption.open_key(self.keystore), self.encryption.spec.salt
        data_key = key.data_key(salt) if self.encryption.seal is not None else None

        def sign(message: bytes) -> Mapping[str, str | None]:
            return {
                "key": key.mac(salt, message),
                "data_key": data_key.mac(message) if data_key is not None else None,
            }

        return sign


@dataclasses.dataclass(frozen=True)
class DataKeySigner:
    """The MAC of a dataset that somebody with its data key unseals.

    Attributes:
      data_key: the path of the exported key.
    """

    data_key: str

    def open(self) -> Sign:
        """See `Signer`."""
        data_key = load_data_key(self.data_key)
        return lambda message: {"key": None, "data_key": data_key.mac(message)}


def open_dataset_key(dataset: Dataset, encryption: Encryption, keystore: str) -> DatasetKey:
    """The key of an opened dataset, whose manifest is checked under it.

    Args:
      dataset: the dataset.
      encryption: its encryption.
      keystore: the key store's URI.

    Raises:
      KeyStoreError: the key is not there, not enabled, or another key of the same id.
      DataError: the manifest is not what the owner of the key wrote.
    """
    key = encryption.open_key(keystore)
    salt = encryption.spec.salt
    manifest = manifest_of(dataset)
    if is_without_mac(manifest):
        return key
    message = manifest.authenticated_bytes()
    sealed = encryption.seal is not None or encryption.unsealed
    compare_mac(manifest, "key", key.mac(salt, message) if not encryption.unsealed else None)
    compare_mac(manifest, "data_key", key.data_key(salt).mac(message) if sealed else None)
    return key
