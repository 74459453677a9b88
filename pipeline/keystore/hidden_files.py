"""Files of a key store that are hidden under one key, a folder for each kind, and deleted with the key."""

from __future__ import annotations

from lpe.pipeline import storage


def hidden_file(keystore: str, folder: str, name: str, key_id: int, of: str) -> str:
    """The path of a file that is hidden under a key.

    Args:
      keystore: the key store's URI.
      folder: the kind of file.
      name: the keyset.
      key_id: the key.
      of: what tells it from others of its kind under the key.
    """
    return storage.join(keystore, folder, f"{_start(name, key_id)}{of}.bin")


def delete_hidden_files(keystore: str, folder: str, name: str, key_id: int) -> None:
    """Deletes all files of a kind under a key that is destroyed: nobody can read them any more."""
    place = storage.join(keystore, folder)
    for file in storage.list_names(place):
        if file.startswith(_start(name, key_id)):
            storage.delete(storage.join(place, file))


def _start(name: str, key_id: int) -> str:
    return f"{name}.{key_id}."  # no name of a keyset has a dot
