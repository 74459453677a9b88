"""A reader of the pickles of CIFAR's python layout that refuses all code but what these need."""

from __future__ import annotations

import io
import pickle
from typing import Any

from lpe.transforms.errors import DataError


def as_text(value: object) -> str:
    """A string, whichever Python wrote it: Python 2 did not tell text from bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def read_pickle(data: bytes, shown: str) -> dict[str, Any]:
    """The dictionary in one of CIFAR's pickles, keys as text.

    Raises:
      DataError: it is damaged, no dictionary, or asks for code that CIFAR's files do not need.
    """
    try:
        value = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{shown}: {error}") from error
    except Exception as error:  # a damaged pickle fails in any way
        raise DataError(f"{shown}: damaged or cut off ({error}); get the archive again") from error
    if not isinstance(value, dict):
        raise DataError(f"{shown}: not one of CIFAR's files; get the archive again")
    return {as_text(key): content for key, content in value.items()}


class _Unpickler(pickle.Unpickler):
    """Admits what CIFAR's files need, and no other code: a pickle can run anything otherwise."""

    _ADMITTED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise DataError(
                f"refused: it asks to run {module}.{name}, which no CIFAR file does; do not trust it"
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
