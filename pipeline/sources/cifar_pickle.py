"""Pickles of CIFAR's python layout: a dictionary of one array of bytes, and lists of labels and names."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpe.pipeline.sources import pickled
from lpe.pipeline.sources.limits import MOST_PICKLE_BYTES
from lpe.pipeline.sources.pickled import Call, Global
from lpe.pipeline.sources.ranges import ByteRange
from lpe.transforms.errors import DataError

# NumPy's modules before its version 2, and since.
_RECONSTRUCT = frozenset({"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"})
_FROM_BUFFER = frozenset({"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"})
_ADMITTED = frozenset({"numpy.ndarray", "numpy.dtype", *_RECONSTRUCT, *_FROM_BUFFER})
_DTYPE_STATE = (3, "|", None, None, None, -1, -1, 0)


def as_text(value: object) -> str | None:
    """A string, whichever Python wrote it: Python 2 did not tell text from bytes. None for other values."""
    return value.decode("latin1") if isinstance(value, bytes) else value if isinstance(value, str) else None


def as_texts(value: object) -> list[str] | None:
    """The strings of a list; None for other values."""
    texts = [as_text(item) for item in value] if isinstance(value, list) else []
    return [text for text in texts if text is not None] if texts and None not in texts else None


def as_labels(value: object) -> np.ndarray | None:
    """The numbers 0..255 of a list, uint8 [N]; None for other values."""
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < 256 for item in value):
        return None
    return np.array(value, np.uint8)


def as_array(value: object) -> np.ndarray | None:
    """A pickled array of bytes in two dimensions, uint8 [N, M]; None for anything else, and any other array."""
    if not isinstance(value, Call):
        return None
    if value.name in _RECONSTRUCT:
        if len(value.args) != 3 or not _is_name(value.args[0], "numpy.ndarray"):
            return None
        if not isinstance(value.state, tuple) or len(value.state) != 5:
            return None
        version, shape, dtype, fortran, raw = value.state
        if type(version) is not int or version != 1 or not isinstance(fortran, bool):
            return None
    elif value.name in _FROM_BUFFER:
        if value.state is not None or len(value.args) != 4 or as_text(value.args[3]) not in {"C", "F"}:
            return None
        raw, dtype, shape, order = value.args
        fortran = as_text(order) == "F"
    else:
        return None
    if not isinstance(raw, bytes) or not _is_bytes_dtype(dtype):
        return None
    if not isinstance(shape, tuple) or len(shape) != 2:
        return None
    rows, columns = shape
    if type(rows) is not int or type(columns) is not int or min(shape) < 1 or rows * columns != len(raw):
        return None
    return np.frombuffer(raw, np.uint8).reshape(rows, columns, order="F" if fortran else "C")


def read_pickle(where: ByteRange, shown: str) -> dict[str, Any]:
    """The dictionary in one of CIFAR's pickles, keys as text, values as `pickled.load` gives them.

    Raises:
      DataError: it is damaged, too large, no dictionary, or asks for code that CIFAR's files do not need.
    """
    if where.size > MOST_PICKLE_BYTES:
        raise DataError(f"{shown}: {where.size} bytes, which no CIFAR file has; get the archive again")
    try:
        value = pickled.load(where.read(), _ADMITTED)
    except DataError as error:
        raise DataError(f"{shown}: {error}") from error
    except pickled.PickleError as error:
        raise DataError(f"{shown}: damaged or cut off ({error}); get the archive again") from error
    if not isinstance(value, dict):
        raise DataError(f"{shown}: not one of CIFAR's files; get the archive again")
    return {as_text(key) or "": content for key, content in value.items()}


def _is_name(value: object, name: str) -> bool:
    return isinstance(value, Global) and value.name == name


def _is_bytes_dtype(value: object) -> bool:
    """Whether it is `dtype("u1")` as every NumPy has pickled it."""
    if not isinstance(value, Call) or value.name != "numpy.dtype" or not isinstance(value.state, tuple):
        return False
    if len(value.args) != 3 or as_text(value.args[0]) not in {"u1", "|u1"}:
        return False
    return len(value.state) == len(_DTYPE_STATE) and all(
        (as_text(got) == wanted) if isinstance(wanted, str) else (type(got) is type(wanted) and got == wanted)
        for got, wanted in zip(value.state, _DTYPE_STATE, strict=True)
    )
