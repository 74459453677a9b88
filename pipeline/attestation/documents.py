"""The JSON documents that owner and program send each other: bounded, one object, bytes in base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.storage.documents import Fields, parse_document, read_bounded
from lpe.transforms.errors import AttestationError, UsageError

MOST_BYTES = 256 << 10
"""The longest document: a token has a quarter of that at most."""
FORMAT_VERSION = 1
_REMEDY = "ask for it again"


def to_bytes(value: Mapping[str, Any]) -> bytes:
    """A document as it is written and sent."""
    return (json.dumps({"format_version": FORMAT_VERSION, **value}, indent=2) + "\n").encode()


def parse(content: bytes, where: str, *names: str) -> Fields:
    """The fields of a document.

    Args:
      content: its bytes.
      where: what it is, for messages.
      names: of all its fields.

    Raises:
      AttestationError: it is too long, damaged, or has other fields.
    """
    if len(content) > MOST_BYTES:
        raise AttestationError(f"{where}: longer than {MOST_BYTES >> 10} KiB; {_REMEDY}")
    fields = parse_document(content, where, _REMEDY, AttestationError)
    fields.only("format_version", *names)
    fields.integer("format_version", FORMAT_VERSION, FORMAT_VERSION)
    return fields


def read(path: str, remedy: str = _REMEDY, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file, a document or another of at most so many. Raises AttestationError if it cannot be read."""
    try:
        return read_bounded(path, remedy, AttestationError, most)
    except FileNotFoundError:
        raise AttestationError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        raise AttestationError(str(storage.explain(error))) from error


def check_new(path: str) -> None:
    """Raises UsageError if there is a file of this name: none of these documents is written over."""
    if storage.exists(path):
        raise UsageError(f"{path}: exists; choose another --output or delete it first")


def text_of(data: bytes) -> str:
    """Bytes as text in a document."""
    return base64.b64encode(data).decode()


def bytes_of(fields: Fields, name: str, least: int, most: int) -> bytes:
    """A field that holds bytes, of so many at least and at most."""
    text = fields.text(name)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not least <= len(data) <= most or text_of(data) != text:
        fields.refuse(f"{name} must be {least} to {most} bytes in base64")
    return data
