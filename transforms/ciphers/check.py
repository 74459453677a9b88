"""Checks of explicit key material: one array per key, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lpe.transforms.errors import CipherError


def bits(name: str, arrays: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """The arrays of K keys, each of 0 and 1, as uint8 [K, *shape].

    Args:
      name: the field of the key, for the error's text.
      arrays: one for each key, of any numeric type or bool.
      shape: what each must have.

    Raises:
      CipherError: an array of another shape or with other values.
    """
    return _stacked(name, arrays, shape, 2, np.uint8)


def integers(name: str, arrays: Sequence[Any], shape: tuple[int, ...], bound: int) -> np.ndarray:
    """The arrays of K keys, each of integers in [0, bound), as int64 [K, *shape].

    Args:
      name: the field of the key, for the error's text.
      arrays: one for each key, of any numeric type or bool.
      shape: what each must have.
      bound: above all values.

    Raises:
      CipherError: an array of another shape or with other values.
    """
    return _stacked(name, arrays, shape, bound, np.int64)


def permutations(name: str, arrays: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """The arrays of K keys, each with permutations along its last axis, as int64 [K, *shape].

    Args:
      name: the field of the key, for the error's text.
      arrays: one for each key, of any numeric type.
      shape: what each must have.

    Raises:
      CipherError: an array of another shape, or one that holds no permutations.
    """
    stacked = integers(name, arrays, shape, shape[-1])
    if not (np.sort(stacked, axis=-1) == np.arange(shape[-1])).all():
        raise CipherError(f"{name} must hold permutations of 0..{shape[-1] - 1}")
    return stacked


def _stacked(name: str, arrays: Sequence[Any], shape: tuple[int, ...], bound: int, dtype: type) -> np.ndarray:
    out: np.ndarray = np.empty((len(arrays), *shape), dtype)
    for i, given in enumerate(arrays):
        array = np.asarray(given)
        if (
            array.shape != shape
            or array.dtype.kind not in "biuf"
            or (array.dtype.kind == "f" and not (array == np.floor(array)).all())
            or not 0 <= array.min() <= array.max() < bound
        ):
            raise CipherError(
                f"{name} must have shape {shape} and values 0..{bound - 1} for this image shape, got shape "
                f"{array.shape}"
            )
        out[i] = array
    return out
