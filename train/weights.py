"""Weights read into a network from files that others may have written. Importing this module imports Keras.

A `.keras` archive describes a network in a way that can name any Python object, and Keras has been made to run code
from one more than once. So nothing but its weights is read: the network is built by this package, and bounds how large
they are. They are HDF5, which a library of native code reads; only what Keras writes is let through: plain arrays of
numbers, within the file.
"""

from __future__ import annotations

import io
import math
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from lpe.transforms.errors import DataError, one_line

_ARCHIVED = "model.weights.h5"
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those whose output Python bounds
_BESIDE_WEIGHTS = 4 << 20
_MOST_BESIDE_VARIABLE = 16 << 10  # of HDF5's own structures
_MOST_OBJECTS = 100_000
_MOST_BYTES_OF_VALUE = 32  # float32 and up to three of an optimiser, which loss scaling stores twice


def load_archive(model: keras.Model, path: Path) -> None:
    """Loads the weights in a `.keras` file into a network of the same structure; nothing else in it is read.

    Raises:
      FileNotFoundError: there is no such file.
      DataError: the file is damaged, or holds other weights; the message is the reason alone.
    """
    most = _most_bytes(model)
    with path.open("rb") as file:
        content = _at_most(file, most + _BESIDE_WEIGHTS)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            info = archive.getinfo(_ARCHIVED)
            if info.compress_type not in _COMPRESSIONS:
                raise DataError("its weights are compressed in a way that Keras does not use")
            with archive.open(info) as weights:
                data = _at_most(weights, most)
    except DataError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds for damaged archives
        raise DataError(f"no archive of weights: {one_line(error)}") from error
    _load(model, data)


def load_checkpoint(model: keras.Model, path: Path) -> None:
    """Loads a `.weights.h5` file into a network of the same structure and, if it is compiled, its optimiser.

    Raises:
      FileNotFoundError: there is no such file.
      DataError: as for `load_archive`.
    """
    with path.open("rb") as file:
        data = _at_most(file, _most_bytes(model))
    _load(model, data)


def _load(model: keras.Model, data: bytes) -> None:
    most = sum(map(_bytes, model.variables))
    try:
        # Keras takes a path alone. In a directory of our own the file stays what was checked.
        with tempfile.TemporaryDirectory(prefix="lpe-weights-") as directory:
            copy = Path(directory, _ARCHIVED)
            copy.write_bytes(data)
            with h5py.File(copy, "r") as file:
                _check(file, most)
            model.load_weights(copy)
    except DataError:
        raise
    except Exception as error:  # h5py and Keras raise a dozen kinds for damaged files
        raise DataError(f"no weights of this network: {one_line(error)}") from error


def _check(file: h5py.File, most: int) -> None:
    """Raises DataError unless a file holds groups and plain arrays of numbers alone, of at most so many bytes."""
    total = 0
    for number, (group, name) in enumerate(_links(file)):
        if number == _MOST_OBJECTS:
            raise DataError(f"more than {_MOST_OBJECTS} objects")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise DataError("a link out of its group")
        item = group[name]
        if isinstance(item, h5py.Group):
            continue
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
            raise DataError("something else than arrays of numbers")
        if item.external or item.is_virtual or item.chunks is not None:
            raise DataError("an array that is not stored in one piece within the file")
        total += math.prod(item.shape) * item.dtype.itemsize
        if total > most:
            raise DataError(f"more than the {most} bytes of this network's weights")


def _links(file: h5py.File) -> Iterator[tuple[h5py.Group, str]]:
    """Every group and name in it; without end where a group is in itself."""
    waiting: list[h5py.Group] = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            yield group, name
            if isinstance(group[name], h5py.Group):
                waiting.append(group[name])


def _bytes(variable: Any) -> int:
    values: int = math.prod(variable.shape)
    return values * _MOST_BYTES_OF_VALUE + 64  # an optimiser has scalars of its own


def _most_bytes(model: keras.Model) -> int:
    """Bytes that a file with the weights of a network and its optimiser may have."""
    return _BESIDE_WEIGHTS + sum(_bytes(variable) + _MOST_BESIDE_VARIABLE for variable in model.variables)


def _at_most(file: Any, most: int) -> bytes:
    data: bytes = file.read(most + 1)
    if len(data) > most:
        raise DataError(f"larger than {most} bytes, which this network's weights never are")
    return data
