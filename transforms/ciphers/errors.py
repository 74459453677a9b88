"""The root of all errors of `lpe`, and the one that ciphers raise."""


class LpeError(Exception):
    """Base of every error that `lpe` raises on purpose; the command prints its one line."""


class CipherError(LpeError, ValueError):
    """A cipher name, parameter, key or image shape that the scheme does not admit."""
