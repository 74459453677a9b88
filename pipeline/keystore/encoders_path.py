"""The place of learned reductions' encoders in a key store: a file for each under a key, deleted with the key."""

from __future__ import annotations

from lpe.pipeline.keystore.hidden_files import delete_hidden_files, hidden_file

_FOLDER = "encoders"


def encoder_path(keystore: str, name: str, key_id: int, digest: str) -> str:
    """The file of an encoder, hidden under a key.

    Args:
      keystore: the key store's URI.
      name: the keyset.
      key_id: the key.
      digest: the encoder's.
    """
    return hidden_file(keystore, _FOLDER, name, key_id, digest)


def delete_encoders(keystore: str, name: str, key_id: int) -> None:
    """Deletes all encoders under a key that is destroyed: nobody can read them any more."""
    delete_hidden_files(keystore, _FOLDER, name, key_id)
