"""The errors of `lpe`: each message says what was wrong, where, and what to do."""

from transforms.ciphers.errors import CipherError, LpeError

__all__ = ["CipherError", "DataError", "KeyStoreError", "LpeError", "UsageError"]


class DataError(LpeError):
    """An image, record, shard, archive or dataset is missing, damaged or not what it should be."""


class KeyStoreError(LpeError):
    """A keyset or key-encryption key is missing, damaged, disabled, destroyed or the wrong one."""


class UsageError(LpeError):
    """A request that cannot be carried out as it was put (exit code 2)."""
