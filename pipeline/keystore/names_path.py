"""The place of a dataset's hidden names in a key store: a file for each version, deleted with its key."""

from __future__ import annotations

from lpe.pipeline.keystore.hidden_files import delete_hidden_files, hidden_file

_FOLDER = "names"
_JOB_DIGITS = 32


def names_path(keystore: str, name: str, key_id: int, job: str) -> str:
    """The file of the hidden names of one version's images.

    Args:
      keystore: the key store's URI.
      name: the keyset.
      key_id: the key.
      job: the fingerprint of the job that wrote the version.
    """
    return hidden_file(keystore, _FOLDER, name, key_id, job[:_JOB_DIGITS])


def delete_names(keystore: str, name: str, key_id: int) -> None:
    """Deletes all hidden names under a key that is destroyed: nobody can read them any more."""
    delete_hidden_files(keystore, _FOLDER, name, key_id)
