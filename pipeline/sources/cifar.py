"""CIFAR-10 and CIFAR-100 as their author ships them: `cifar:PATH`, binary or python, archive or folder.

A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. A binary record is one
label byte (CIFAR-100: coarse, then fine) and 3,072 bytes: planes R, G, B of 32×32.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.sources.archive import ByteRange, FileTree
from pipeline.sources.base import BadRecord, OnBadRecord, Slice, Source, SourceBatch, SourceInfo
from transforms.errors import DataError

_SHAPE = (32, 32, 3)
_PIXELS = 3072


@dataclasses.dataclass(frozen=True)
class _Layout:
    """One of the official layouts: its files per split, and where the class names are."""

    name: str
    splits: dict[str, tuple[str, ...]]
    names_file: str
    python: bool
    label_bytes: int
    labels_key: str = ""
    names_key: str = ""


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_LAYOUTS = (
    _Layout(
        "cifar10",
        {"train": tuple(f"{name}.bin" for name in _BATCHES), "test": ("test_batch.bin",)},
        "batches.meta.txt",
        python=False,
        label_bytes=1,
    ),
    _Layout(
        "cifar100",
        {"train": ("train.bin",), "test": ("test.bin",)},
        "fine_label_names.txt",
        python=False,
        label_bytes=2,
    ),
    _Layout(
        "cifar10",
        {"train": _BATCHES, "test": ("test_batch",)},
        "batches.meta",
        python=True,
        label_bytes=1,
        labels_key="labels",
        names_key="label_names",
    ),
    _Layout(
        "cifar100",
        {"train": ("train",), "test": ("test",)},
        "meta",
        python=True,
        label_bytes=1,
        labels_key="fine_labels",
        names_key="fine_label_names",
    ),
)


class CifarSource(Source):
    """The images of an official CIFAR archive or folder, splits and order as shipped.

    Raises:
      DataError: the path is missing, it is none of the official layouts, or a file is missing,
        damaged or refused.
    """

    def __init__(self, path: str) -> None:
        self.uri = f"cifar:{path}"
        self._tree = FileTree(path)
        self._spool: tempfile.TemporaryDirectory[str] | None = None
        try:
            files = {name.rsplit("/", 1)[-1]: where for name, where in self._tree.files.items()}
            layout = _find_layout(files, path)
            class_names = _class_names(files, layout, path)
            self._label_bytes = layout.label_bytes
            self._parts = {
                split: [self._part(name, files[name], layout) for name in names]
                for split, names in layout.splits.items()
            }
        except BaseException:
            self.close()
            raise
        self.info = SourceInfo(
            name=layout.name,
            class_names=class_names,
            image_shape=_SHAPE,
            splits={split: sum(part.records for part in parts) for split, parts in self._parts.items()},
            bytes_per_image=_PIXELS,
        )

    def digest(self) -> str:
        """See `FileTree.digest`."""
        return self._tree.digest()

    def slice(self, split: str, positions: np.ndarray) -> CifarSlice:
        parts = self._parts[split]
        ends = np.cumsum([part.records for part in parts])
        which = np.searchsorted(ends, positions, side="right")
        pieces = []
        for index in np.unique(which).tolist():
            part = parts[index]
            records = positions[which == index] - (ends[index] - part.records)
            pieces.append(_Piece(part.name, part.bytes, records, part.names_of(records)))
        return CifarSlice(self.uri, tuple(pieces), self._label_bytes, len(self.info.class_names))

    def close(self) -> None:
        self._tree.close()
        if self._spool is not None:
            self._spool.cleanup()

    def _part(self, name: str, where: ByteRange, layout: _Layout) -> _Part:
        shown = f"{self.uri.removeprefix('cifar:')}: {name}"
        if not layout.python:
            record = layout.label_bytes + _PIXELS
            if where.size % record or not where.size:
                raise DataError(
                    f"{shown}: {where.size} bytes are no whole number of records of {record}; it is cut off: get the "
                    "archive again"
                )
            return _Part(name, where, where.size // record, None)
        value = _read_python(where.read(), shown)
        data, labels, names = value.get("data"), value.get(layout.labels_key), value.get("filenames")
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or data.shape != (len(data), _PIXELS)
            or not isinstance(labels, list)
            or len(labels) != len(data)
            or not all(isinstance(label, int) and 0 <= label < 256 for label in labels)
        ):
            raise DataError(
                f"{shown}: not an official batch (data, {layout.labels_key}); get the archive again"
            )
        # The same records as in the binary layout, so that slices are small and read alike.
        if self._spool is None:
            self._spool = tempfile.TemporaryDirectory(prefix="lpe-cifar-")
        spooled = Path(self._spool.name, f"{name}.bin")
        records = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1)
        spooled.write_bytes(records.tobytes())
        known = isinstance(names, list) and len(names) == len(data)
        originals = [f"{name}/{original}" for original in names] if known and names is not None else None
        return _Part(name, ByteRange(str(spooled), 0, records.size), len(data), originals)


@dataclasses.dataclass(frozen=True)
class _Part:
    """One data file: its name, records, and the records' original names where they are known."""

    name: str
    bytes: ByteRange
    records: int
    names: list[str] | None

    def names_of(self, records: np.ndarray) -> list[str]:
        if self.names is None:
            return [f"{self.name}#{record}" for record in records.tolist()]
        return [self.names[record] for record in records.tolist()]


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Some records (int64, ascending) of one data file, with their names."""

    file: str
    bytes: ByteRange
    records: np.ndarray
    names: list[str]


@dataclasses.dataclass(frozen=True, eq=False)
class CifarSlice(Slice):
    """Records of one or more data files."""

    uri: str
    pieces: tuple[_Piece, ...]
    label_bytes: int
    classes: int

    def __len__(self) -> int:
        return sum(len(piece.records) for piece in self.pieces)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        first = 0
        for piece in self.pieces:
            size = self.label_bytes + _PIXELS
            where = piece.bytes
            every = np.memmap(where.path, np.uint8, "r", where.offset, (where.size // size, size))
            for start in range(0, len(piece.records), batch_size):
                chosen = piece.records[start : start + batch_size]
                rows = every[chosen]
                labels = rows[:, self.label_bytes - 1].astype(np.int64)
                good = labels < self.classes
                for bad in np.flatnonzero(~good).tolist():
                    place = f"{self.uri.removeprefix('cifar:')}: {piece.file}, record {int(chosen[bad])}"
                    on_bad_record(BadRecord(place, f"label {labels[bad]} for {self.classes} classes"))
                planes = rows[good, self.label_bytes :].reshape(-1, 3, 32, 32)
                yield SourceBatch(
                    offsets=first + start + np.flatnonzero(good),
                    names=[piece.names[start + i] for i in np.flatnonzero(good).tolist()],
                    images=np.ascontiguousarray(planes.transpose(0, 2, 3, 1)),
                    labels=labels[good],
                )
            first += len(piece.records)


def _find_layout(files: dict[str, ByteRange], path: str) -> _Layout:
    def missing(layout: _Layout) -> list[str]:
        wanted = [name for names in layout.splits.values() for name in names] + [layout.names_file]
        return [name for name in wanted if name not in files]

    best = min(_LAYOUTS, key=lambda layout: len(missing(layout)))
    absent = missing(best)
    if not absent:
        return best
    if len(absent) == sum(map(len, best.splits.values())) + 1:
        raise DataError(f"{path}: none of CIFAR's official layouts; for images in folders use folder:{path}")
    raise DataError(f"{path}: incomplete, {', '.join(absent)} missing; get the archive again")


def _class_names(files: dict[str, ByteRange], layout: _Layout, path: str) -> tuple[str, ...]:
    shown = f"{path}: {layout.names_file}"
    data = files[layout.names_file].read()
    if layout.python:
        names = _read_python(data, shown).get(layout.names_key)
    else:
        names = data.decode("utf-8", "replace").split()
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{shown}: no class names in it; get the archive again")
    return tuple(names)


def _read_python(data: bytes, shown: str) -> dict[str, Any]:
    try:
        value = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{shown}: {error}") from error
    except Exception as error:  # a damaged pickle fails in any way
        raise DataError(f"{shown}: damaged or cut off ({error}); get the archive again") from error
    if not isinstance(value, dict):
        raise DataError(f"{shown}: not one of CIFAR's files; get the archive again")
    return value


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
