"""The MACs of an encrypted dataset: that its manifest, and so every file, is as its owner wrote it.

A manifest holds a SHA-256 of every shard and of every other file of its version, in order, with splits, lengths and
the seal. HMAC-SHA256 over it under a key made from the dataset's key tells everybody who has the key store that
nothing was changed, left out, put in, swapped or stripped; a second one, under a key made from the data key, tells
it to whoever opens the seal. An unsealed dataset has the second one alone: who unseals has no other key.

The receipts of finished shards have the same MACs while a version is being made.
"""

from __future__ import annotations

import dataclasses
import hmac
import logging
from collections.abc import Mapping
from typing import Protocol

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.manifest import Manifest, Sign
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import DataKey, DatasetKey, load_data_key
from lpe.transforms.errors import DataError

_LOG = logging.getLogger("lpe")


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
    manifest = _manifest(dataset)
    if _without_mac(manifest):
        return key
    message = manifest.authenticated_bytes()
    sealed = encryption.seal is not None or encryption.unsealed
    _compare(manifest, "key", key.mac(salt, message) if not encryption.unsealed else None)
    _compare(manifest, "data_key", key.data_key(salt).mac(message) if sealed else None)
    return key


def check_under_data_key(dataset: Dataset, data_key: DataKey) -> None:
    """Checks a dataset's manifest under its data key. Raises DataError if it is not what was sealed or unsealed."""
    manifest = _manifest(dataset)
    # The key is of one dataset, and so of one format: no dataset can be passed off as one of format 1.
    if manifest.content.get("salt") != data_key.salt:
        raise _changed(manifest)
    if not _without_mac(manifest):
        _compare(manifest, "data_key", data_key.mac(manifest.authenticated_bytes()))


def _manifest(dataset: Dataset) -> Manifest:
    assert dataset.manifest is not None  # an encrypted dataset has one
    return dataset.manifest


def _without_mac(manifest: Manifest) -> bool:
    """Whether a manifest is of format 1, which has no MAC; the log is told so."""
    if manifest.format_version > 1:
        return False
    _LOG.warning(
        "%s: format 1, in which labels, ids and order are not authenticated; rotate and re-encrypt it",
        storage.parent(manifest.path),
    )
    return True


def _compare(manifest: Manifest, under: str, expected: str | None) -> None:
    """Compares a recorded MAC with the one that there must be; None for none."""
    recorded = manifest.mac[under]
    if not hmac.compare_digest(recorded or "", expected or ""):
        raise _changed(manifest)


def _changed(manifest: Manifest) -> DataError:
    return DataError(
        f"{manifest.path}: not what the owner of its key wrote: it, a shard or another file was changed, or what "
        "it says was stripped; restore the dataset from a copy"
    )
