"""The check of a manifest's MACs: that it, and so every file, is as who has the key wrote it."""

from __future__ import annotations

import hmac
import logging

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.manifest import Manifest, is_salt
from lpe.pipeline.seal.data_key import DataKey
from lpe.transforms.errors import DataError

_LOG = logging.getLogger("lpe")


def check_under_data_key(dataset: Dataset, data_key: DataKey) -> None:
    """Checks a sealed dataset's manifest under its data key. Raises DataError if it is not what was sealed."""
    manifest = manifest_of(dataset)
    # The key is of one dataset, and its salt of one format: no dataset can be passed off as one of format 1.
    salt = data_key.salt
    if manifest.content.get("salt") != salt or not is_salt(salt, manifest.format_version):
        raise _changed(manifest)
    if not is_without_mac(manifest):
        compare_mac(manifest, "data_key", data_key.mac(manifest.authenticated_bytes()))


def manifest_of(dataset: Dataset) -> Manifest:
    """The manifest of an encrypted dataset, which has one."""
    assert dataset.manifest is not None
    return dataset.manifest


def is_without_mac(manifest: Manifest) -> bool:
    """Whether a manifest is of format 1, which has no MAC; the log is told so."""
    if manifest.format_version > 1:
        return False
    _LOG.warning(
        "%s: format 1, in which labels, ids and order are not authenticated; rotate and re-encrypt it",
        storage.parent(manifest.path),
    )
    return True


def compare_mac(manifest: Manifest, under: str, expected: str | None) -> None:
    """Compares a recorded MAC with the one that there must be, in constant time.

    Args:
      manifest: a dataset's.
      under: the key that it is under, `key` or `data_key`.
      expected: what it must be; None for none.

    Raises:
      DataError: it is another.
    """
    recorded = manifest.mac[under]
    if not hmac.compare_digest(recorded or "", expected or ""):
        raise _changed(manifest)


def _changed(manifest: Manifest) -> DataError:
    return DataError(
        f"{manifest.path}: not what the owner of its key wrote: it, a shard or another file was changed, or what "
        "it says was stripped; restore the dataset from a copy"
    )
