"""Reading of a key store's files, whatever was done to them."""

from __future__ import annotations

from lpe.pipeline import storage
from lpe.pipeline.storage.documents import Fields, parse_document, read_bounded
from lpe.transforms.errors import KeyStoreError

REMEDY = "restore it from your copy"
"""What to do about a damaged file of a key store."""
_MOST_BYTES = 64 << 20  # the metadata of a hundred thousand datasets


def read_file(path: str) -> bytes:
    """The content of a file of a key store.

    Raises:
      KeyStoreError: it cannot be read, or is larger than any such file.
      FileNotFoundError: it is missing.
    """
    try:
        return read_bounded(path, REMEDY, KeyStoreError, _MOST_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyStoreError(str(storage.explain(error))) from error


def parse_fields(content: bytes, path: str) -> Fields:
    """The fields of the JSON object that is a file of a key store. Raises KeyStoreError."""
    return parse_document(content, path, REMEDY, KeyStoreError)
