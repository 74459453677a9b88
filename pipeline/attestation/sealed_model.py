"""A trained model, encrypted to the owner of the data that it learned from: one file, opened with the key store.

a line of JSON     which dataset and key; readable for everybody, and bound to the rest
HPKE ciphertext    an archive of the run's files, without compression
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lpe.pipeline import storage
from lpe.pipeline.attestation import SEALED_MODEL, documents, hpke
from lpe.pipeline.attestation.offer import Offer, owner_model_key
from lpe.pipeline.attestation.policy import DatasetRef
from lpe.pipeline.dataset.checksummed import DIGEST
from lpe.pipeline.dataset.layout import KEYSET_NAME
from lpe.pipeline.keystore import KeyStore
from lpe.transforms import labels
from lpe.transforms.errors import AttestationError, UsageError

_MOST_HEADER = 4096
_MOST_BYTES = 4 << 30
_FILES = ("run.json", "model.keras", "curves.png", "metrics.jsonl")
"""What is kept of a run."""
_REMEDY = "fetch it again from where the program wrote it"


def check_output(path: str) -> None:
    """Raises UsageError if a sealed model cannot be written to a file of this name."""
    if not path.endswith(SEALED_MODEL):
        raise UsageError(
            f"{path}: name the sealed model with {SEALED_MODEL} at its end, e.g. model{SEALED_MODEL}"
        )
    if storage.exists(path):
        raise UsageError(f"{path}: exists; choose another name or delete it first")


def write_sealed_model(run: str, offer: Offer, output: str) -> None:
    """Encrypts a finished run to the owner who made the offer.

    Args:
      run: its directory.
      offer: what it was trained under.
      output: the file, which may be in a bucket.
    """
    header = json.dumps(
        {
            "format_version": documents.FORMAT_VERSION,
            "dataset": offer.dataset.to_json(),
            "keyset": offer.keyset,
            "key_id": offer.key_id,
            "policy": offer.policy,
        }
    ).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for name in _FILES:
            files.write(Path(run, name), name)
    storage.write_atomic(
        output, header + b"\n" + hpke.encrypt(offer.model_key, archive.getvalue(), _info(header))
    )


@contextlib.contextmanager
def opened(path: str, keystore: str) -> Iterator[str]:
    """The run in a sealed model: a directory for this user alone, which is deleted in the end.

    Args:
      path: the file.
      keystore: the owner's.

    Raises:
      AttestationError: the file is missing or damaged, or was encrypted to another key.
      KeyStoreError: the key cannot be had.
    """
    header, content = _read(path)
    fields = documents.parse(header, path, "dataset", "keyset", "key_id", "policy")
    dataset = DatasetRef.from_fields(fields.object("dataset"))
    fields.text("policy", DIGEST)
    key = KeyStore(keystore).open(
        fields.text("keyset", KEYSET_NAME), fields.integer("key_id", most=2**32 - 1)
    )
    try:
        archive = owner_model_key(key, dataset.salt).decrypt(content, _info(header))
    except AttestationError as error:
        raise AttestationError(f"{path}: {error}; {_REMEDY}") from None
    with tempfile.TemporaryDirectory(prefix="lpe-model-") as directory:
        _unpack(archive, Path(directory), path)
        yield directory


def _read(path: str) -> tuple[bytes, bytes]:
    """Header and ciphertext."""
    try:
        with storage.open_read(path) as file:
            header = file.readline(_MOST_HEADER)
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise AttestationError(f"{path}: no such file; check the path") from None
    if not header.endswith(b"\n"):
        raise AttestationError(f"{path}: not a sealed model; {_REMEDY}")
    return header.removesuffix(b"\n"), content


def _unpack(archive: bytes, directory: Path, where: str) -> None:
    """Writes the files of an archive that has those of a run, and no others."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            infos = files.infolist()
            if sorted(info.filename for info in infos) != sorted(_FILES) or any(
                info.compress_type != zipfile.ZIP_STORED or info.file_size > len(archive) for info in infos
            ):
                raise AttestationError(
                    f"{where}: does not hold a run alone; the program that wrote it was another"
                )
            for name in _FILES:
                (directory / name).write_bytes(files.read(name))
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:  # which zipfile raises, of hostile bytes
        raise AttestationError(f"{where}: holds no archive; the program that wrote it was another") from error


def _info(header: bytes) -> bytes:
    return labels.sealed_model(hashlib.sha256(header).hexdigest())
