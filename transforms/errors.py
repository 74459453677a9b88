"""The errors of `lpe`: each message says what was wrong, where, and what to do.

A leaf: it imports nothing, so that whoever reports errors does not load what raises them.
"""


class LpeError(Exception):
    """Base of every error that `lpe` raises on purpose; the command prints its one line."""


class CipherError(LpeError, ValueError):
    """A cipher name, parameter, key or image shape that the scheme does not admit."""


class DataError(LpeError):
    """An image, record, shard, archive or dataset is missing, damaged or not what it should be."""


class BusyError(LpeError):
    """Another job holds what this one needs; it may be tried again later."""


class KeyStoreError(LpeError):
    """A keyset or key-encryption key is missing, damaged, disabled, destroyed or the wrong one."""


class UsageError(LpeError):
    """A request that cannot be carried out as it was put (exit code 2)."""
