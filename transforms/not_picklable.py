"""Base class of objects that hold a secret: they refuse to be pickled, and printing them shows no secret."""

from __future__ import annotations

from typing import NoReturn


class NotPicklable:
    """Base of everything that holds key material: pickling raises TypeError, `repr` shows the class alone.

    A pipeline's graph is pickled, and so travels to a runner and into its logs. Carry a small description (a
    `KeyRef`, a `CipherSpec`) and make the object in `setup()`, where the work is done. Copying with `copy` is
    refused likewise.

    A dataclass must be declared with `repr=False`, or the `repr` that it generates shows its fields.
    """

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled.

        Raises:
          TypeError: always.
        """
        raise TypeError(
            f"{type(self).__name__} holds key material and must not be pickled; make it in setup()"
        )

    def __repr__(self) -> str:
        """The name of the class, and nothing of what it holds."""
        return f"<{type(self).__name__}, not shown>"
