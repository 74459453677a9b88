"""The place of a dataset's hidden names in a key store: a file for each version, deleted with its key."""

from __future__ import annotations

from lpe.pipeline import storage

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
    return storage.join(keystore, _FOLDER, f"{_start(name, key_id)}{job[:_JOB_DIGITS]}.bin")


def delete_names(keystore: str, name: str, key_id: int) -> None:
    """Deletes all hidden names under a key that is destroyed: nobody can read them any more."""
    folder = storage.join(keystore, _FOLDER)
    for file in storage.list_names(folder):
        if file.startswith(_start(name, key_id)):
            storage.delete(storage.join(folder, file))


def _start(name: str, key_id: int) -> str:
    return f"{name}.{key_id}."  # no name of a keyset has a dot
