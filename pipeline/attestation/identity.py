"""The private key of a program between its request and the release: a file in memory, for its user alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lpe.pipeline import storage
from lpe.pipeline.attestation import documents
from lpe.pipeline.attestation.hpke import KEY_BYTES, PrivateKey
from lpe.pipeline.attestation.memory import check_in_memory, own_directory
from lpe.transforms.errors import AttestationError


def identity_path(nonce: str) -> str:
    """Where the private key that answers an offer is, unless its user says otherwise."""
    return str(own_directory() / f"{nonce}.identity")


def open_identity(path: str) -> PrivateKey:
    """The private key in a file, which is made if there is none.

    Raises:
      AttestationError: the file would be on a disk, or is damaged.
      KeyStoreError: others may read it.
    """
    if not Path(path).exists():
        check_in_memory(path)
        key = PrivateKey.new()
        content = documents.to_bytes({"private_key": documents.text_of(key.private_bytes())})
        storage.write_atomic(path, content, private=True)
    return read_identity(path)


def read_identity(path: str) -> PrivateKey:
    """The private key in a file.

    Raises:
      AttestationError: it is missing, on a disk, or damaged.
      KeyStoreError: others may read it.
    """
    check_in_memory(path)
    storage.check_private(path)
    try:
        content = documents.read(path)
    except AttestationError:
        raise AttestationError(
            f"{path}: no private key here: lpe attest made it in the memory of one machine, which was started anew "
            "since; ask for a release again"
        ) from None
    secret = b""
    with contextlib.suppress(AttestationError):  # whose words may quote the file
        secret = documents.bytes_of(
            documents.parse(content, path, "private_key"), "private_key", KEY_BYTES, KEY_BYTES
        )
    if not secret:
        raise AttestationError(f"{path}: damaged; delete it and ask for a release again")
    return PrivateKey(secret)


def delete_identity(nonce: str, path: str | None = None) -> None:
    """Deletes the private key that answered the offer with this nonce, once nothing is left to do with it.

    Args:
      nonce: the offer's.
      path: the file; None for where it is unless its user said otherwise.
    """
    Path(path or identity_path(nonce)).unlink(missing_ok=True)
