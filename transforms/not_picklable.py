"""Objects that hold a secret and therefore refuse to be pickled or printed."""

from __future__ import annotations

from typing import NoReturn


class NotPicklable:
    """Base of everything that holds key material: pickling raises TypeError, `repr` shows the class alone.

    A pipeline's graph is pickled, and so travels to a runner and into its logs. Carry a small description (a
    `KeyRef`, a `CipherSpec`) and make the object in `setup()`, where the work is done.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds key material and must not be pickled; make it in setup()"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, not shown>"
