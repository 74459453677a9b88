"""The place of learned reductions' encoders in a key store: a file for each under a key, deleted with the key."""

from __future__ import annotations

from lpe.pipeline import storage

_FOLDER = "encoders"


def encoder_path(keystore: str, name: str, key_id: int, digest: str) -> str:
    """The file of an encoder, hidden under a key.

    Args:
      keystore: the key store's URI.
      name: the keyset.
      key_id: the key.
      digest: the encoder's.
    """
    return storage.join(keystore, _FOLDER, f"{_start(name, key_id)}{digest}.bin")


def delete_encoders(keystore: str, name: str, key_id: int) -> None:
    """Deletes all encoders under a key that is destroyed: nobody can read them any more."""
    folder = storage.join(keystore, _FOLDER)
    for file in storage.list_names(folder):
        if file.startswith(_start(name, key_id)):
            storage.delete(storage.join(folder, file))


def _start(name: str, key_id: int) -> str:
    return f"{name}.{key_id}."  # no name of a keyset has a dot
