"""JSON documents that end in a SHA-256 of themselves, so that a single changed bit shows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.storage.documents import Fields

DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
"""A SHA-256 in hex digits."""


def to_bytes(value: Mapping[str, Any]) -> bytes:
    """The one way in which such a document is written."""
    text = json.dumps(value, indent=2, sort_keys=False, ensure_ascii=False) + "\n"
    return text.encode(errors="surrogatepass")  # JSON can hold halves of pairs, which no sound document does


def with_checksum(value: Mapping[str, Any]) -> bytes:
    """The bytes of a document, its checksum, in the field `sha256`, at the end."""
    return to_bytes({**value, "sha256": hashlib.sha256(to_bytes(value)).hexdigest()})


def check(fields: Fields, content: bytes) -> None:
    """Refuses a document unless it is, byte for byte, as it was written.

    Args:
      fields: the document.
      content: the bytes that it was parsed from.

    Raises:
      LpeError: of the document's kind.
    """
    fields.text("sha256", DIGEST)
    value = {name: item for name, item in fields.raw().items() if name != "sha256"}
    if content != with_checksum(value):
        fields.refuse("it is not as it was written: its checksum is another")
