"""The errors that `lpe` raises on purpose: each message says what was wrong, where, and what to do.

    Exception
    └── LpeError                 anything that `lpe` raises on purpose
        ├── CipherError          a cipher's name, parameter, key or image shape (also a ValueError)
        ├── DataError            an image, record, shard, archive or dataset
        │   ├── DamagedError         a file that is missing or not as it was written
        │   └── ShardsFailedError    some shards of a job (`lpe.pipeline.engine.failures`)
        ├── AttestationError     a token, offer or policy by which a program asks for a data key
        ├── BusyError            another job holds what this one needs
        ├── KeyStoreError        a keyset or key-encryption key
        └── UsageError           the request itself

On the command line a UsageError ends in exit code 2, every other LpeError in exit code 1. This module imports
nothing of ours, so that whoever reports errors does not load what raises them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LpeError(Exception):
    """Base of every error that `lpe` raises on purpose; its text is one line for a person to read.

    Notes (`__notes__`) go on below that line, where one is not enough.

    Attributes:
      details: further fields for `--json`.
    """

    details: dict[str, object] | None = None


def one_line(error: object, most: int = 300) -> str:
    """The text of another library's error, or of an answer, for a message of ours.

    Args:
      error: it may hold anything that a file or a service said.
      most: characters of the result, which can all be printed on one line.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of a message on an unknown name: `; did you mean NAME?`, or nothing where no name is near.

    Args:
      word: what was asked for.
      names: what there is.
    """
    near = difflib.get_close_matches(word.lower(), list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""


class CipherError(LpeError, ValueError):
    """A cipher name, parameter, key or image shape that the scheme does not admit."""


class DataError(LpeError):
    """An image, record, shard, archive or dataset that is missing, damaged or not what it should be."""


class DamagedError(DataError):
    """A file that is missing, or is not what was written."""


class BusyError(LpeError):
    """Another job holds what this one needs; the request may be repeated later."""


class AttestationError(LpeError):
    """A release policy, an offer, a request or an attestation token that is damaged, too old, or not enough."""


class KeyStoreError(LpeError):
    """A keyset or key-encryption key that is missing, damaged, disabled, destroyed or the wrong one."""


class UsageError(LpeError):
    """A request that cannot be carried out as it was put (exit code 2)."""
