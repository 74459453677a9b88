"""CIFAR-10 and CIFAR-100 as their author ships them: `cifar:PATH`, binary or python, archive or folder.

A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. A binary record is one
label byte (CIFAR-100: coarse, then fine) and 3,072 bytes: planes R, G, B of 32×32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import AnyPositions, Slice, Source, SourceBatch, SourceInfo
from lpe.pipeline.sources.cifar_pickle import as_array, as_labels, as_texts, read_pickle
from lpe.pipeline.sources.limits import DEFAULT, MOST_CLASS_NAMES_BYTES, Limits
from lpe.pipeline.sources.ranges import ByteRange, RangeReader
from lpe.pipeline.sources.spool import Spool, spooling
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import DataError

_SHAPE = (32, 32, 3)
_PIXELS = 3072
_SPAN = 16  # records read for each one wanted, at most


@dataclasses.dataclass(frozen=True)
class _Layout:
    """One of the official layouts: its files per split, and where the class names are.

    A python layout has the keys of the labels and of the class names; a binary one has none.
    """

    name: str
    classes: int
    splits: Mapping[str, tuple[str, ...]]
    names_file: str
    label_bytes: int = 1
    keys: tuple[str, str] | None = None


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_BINARY = {"train": tuple(f"{name}.bin" for name in _BATCHES), "test": ("test_batch.bin",)}
_PYTHON = {"train": _BATCHES, "test": ("test_batch",)}
_BINARY_100 = {"train": ("train.bin",), "test": ("test.bin",)}
_PYTHON_100 = {"train": ("train",), "test": ("test",)}
_LAYOUTS = (
    _Layout("cifar10", 10, _BINARY, "batches.meta.txt"),
    _Layout("cifar100", 100, _BINARY_100, "fine_label_names.txt", label_bytes=2),
    _Layout("cifar10", 10, _PYTHON, "batches.meta", keys=("labels", "label_names")),
    _Layout("cifar100", 100, _PYTHON_100, "meta", keys=("fine_labels", "fine_label_names")),
)


def is_cifar_folder(names: Collection[str]) -> bool:
    """Whether files of these names are one of the official layouts, as far as names say."""
    return any({*layout.splits["train"], layout.names_file} <= set(names) for layout in _LAYOUTS)


class CifarSource(Source):
    """The images of an official CIFAR archive or folder, splits and order as shipped.

    Raises:
      DataError: the path is missing, it is none of the official layouts, or a file is missing,
        damaged or refused.
    """

    def __init__(self, path: str, limits: Limits = DEFAULT) -> None:
        self.uri = f"cifar:{path}"
        self._tree = FileTree(path, limits)
        self._spools: list[Spool] = []
        try:
            layout, files = _find_layout(self._tree, path)
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
            splits={split: sum(len(part.records) for part in parts) for split, parts in self._parts.items()},
            bytes_per_image=_PIXELS,
        )

    def digest(self) -> str:
        """See `FileTree.digest`."""
        return self._tree.digest()

    @property
    def temporary(self) -> bool:
        """See `Source`."""
        return self._tree.temporary or bool(self._spools)

    def slice(self, split: str, positions: AnyPositions) -> CifarSlice:
        """See `Source`."""
        parts, positions = self._parts[split], np.asarray(positions)
        ends = np.cumsum([len(part.records) for part in parts])
        which = np.searchsorted(ends, positions, side="right")
        pieces = []
        for index in np.unique(which).tolist():
            part = parts[index]
            records = positions[which == index] - (ends[index] - len(part.records))
            names = None if part.names is None else [part.names[record] for record in records.tolist()]
            pieces.append(_Part(part.name, part.bytes, records, names))
        return CifarSlice(self.uri, tuple(pieces), self._label_bytes, len(self.info.class_names))

    def close(self) -> None:
        """See `Source`."""
        self._tree.close()
        for spool in self._spools:
            spool.close()

    def _part(self, name: str, where: ByteRange, layout: _Layout) -> _Part:
        shown = f"{self.uri.removeprefix('cifar:')}: {name}"
        if layout.keys is None:
            record = layout.label_bytes + _PIXELS
            if where.size % record or not where.size:
                raise DataError(
                    f"{shown}: {where.size} bytes are no whole number of records of {record}; it is cut off: get the "
                    "archive again"
                )
            return _Part(name, where, np.arange(where.size // record), None)
        value = read_pickle(where, shown)
        data, labels = as_array(value.get("data")), as_labels(value.get(layout.keys[0]))
        names = as_texts(value.get("filenames"))
        if (
            data is None
            or labels is None
            or data.shape != (len(labels), _PIXELS)
            or (names is None and "filenames" in value)
        ):
            raise DataError(f"{shown}: not an official batch (data, {layout.keys[0]}); get the archive again")
        # The same records as in the binary layout, so that slices are small and read alike.
        records = np.concatenate([labels[:, None], data], axis=1)
        with spooling(shown):
            spool = Spool()
            self._spools.append(spool)
            spool.file.write(records.tobytes())
            spool.finish()
        originals = None
        # Names that repeat identify nothing: the record's number then does.
        if names and len(set(names)) == len(labels) == len(names) and all(map(is_plain_text, names)):
            originals = [f"{name}/{original}" for original in names]
        return _Part(name, spool.range(0, records.size), np.arange(len(labels)), originals)


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """Records (int64, ascending) of one data file, and their original names where it has them."""

    name: str
    bytes: ByteRange
    records: np.ndarray
    names: list[str] | None


@dataclasses.dataclass(frozen=True, eq=False)
class CifarSlice(Slice):
    """The slice of an official CIFAR dataset: records of one or more data files."""

    uri: str
    pieces: tuple[_Part, ...]
    label_bytes: int
    classes: int

    def __len__(self) -> int:
        return sum(len(piece.records) for piece in self.pieces)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """See `Slice`; a label of no class is a bad record."""
        size = self.label_bytes + _PIXELS
        first = 0
        with RangeReader() as reader:
            for piece in self.pieces:
                for start in range(0, len(piece.records), batch_size):
                    chosen = piece.records[start : start + batch_size]
                    rows = _rows(reader, piece.bytes, chosen, size)
                    labels = rows[:, self.label_bytes - 1].astype(np.int64)
                    good = np.flatnonzero(labels < self.classes)
                    for bad in np.flatnonzero(labels >= self.classes).tolist():
                        place = f"{self.uri.removeprefix('cifar:')}: {piece.name}, record {chosen[bad]}"
                        on_bad_record(BadRecord(place, f"label {labels[bad]} for {self.classes} classes"))
                    planes = rows[good, self.label_bytes :].reshape(-1, 3, 32, 32)
                    if len(good):
                        yield SourceBatch(
                            offsets=first + start + good,
                            names=[self._name(piece, start + i) for i in good.tolist()],
                            images=np.ascontiguousarray(planes.transpose(0, 2, 3, 1)),
                            labels=labels[good],
                        )
                first += len(piece.records)

    def _name(self, piece: _Part, index: int) -> str:
        return f"{piece.name}#{piece.records[index]}" if piece.names is None else piece.names[index]


def _rows(reader: RangeReader, where: ByteRange, records: np.ndarray, size: int) -> np.ndarray:
    """The records (ascending) as uint8 [N, size]; with what lies between them, if that is not too much."""
    first, last = int(records[0]), int(records[-1])
    if last - first < _SPAN * len(records):
        span = ByteRange(where.path, where.offset + first * size, (last + 1 - first) * size)
        rows: np.ndarray = np.frombuffer(reader.read(span), np.uint8).reshape(-1, size)[records - first]
        return rows
    ranges = (ByteRange(where.path, where.offset + record * size, size) for record in records.tolist())
    return np.stack([np.frombuffer(data, np.uint8) for data in reader.read_each(ranges)])


def _find_layout(tree: FileTree, path: str) -> tuple[_Layout, dict[str, ByteRange]]:
    """The layout of the one folder that has one, and that folder's files."""
    folders: dict[str, dict[str, ByteRange]] = {}
    for name, where in tree.files.items():
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, {})[file] = where
    candidates = []
    for layout in _LAYOUTS:
        wanted = [name for names in layout.splits.values() for name in names] + [layout.names_file]
        for folder, files in folders.items():
            missing = [name for name in wanted if name not in files]
            if len(missing) < len(wanted):
                candidates.append((missing, layout, folder))
    whole = [folder or "." for missing, _, folder in candidates if not missing]
    if len(whole) > 1:
        raise DataError(f"{path}: several CIFAR datasets ({', '.join(whole)}); name the folder of one")
    if not candidates:
        raise DataError(f"{path}: none of CIFAR's official layouts; for images in folders use folder:{path}")
    missing, layout, folder = min(candidates, key=lambda candidate: len(candidate[0]))
    if missing:
        raise DataError(f"{path}: incomplete, {', '.join(missing)} missing; get the archive again")
    return layout, folders[folder]


def _class_names(files: dict[str, ByteRange], layout: _Layout, path: str) -> tuple[str, ...]:
    shown = f"{path}: {layout.names_file}"
    where = files[layout.names_file]
    if where.size > MOST_CLASS_NAMES_BYTES:
        raise DataError(f"{shown}: {where.size} bytes, which no CIFAR file has; get the archive again")
    if layout.keys is not None:
        names = as_texts(read_pickle(where, shown).get(layout.keys[1])) or []
    else:
        names = where.read().decode("utf-8", "replace").split()
    if len(set(names)) != layout.classes:
        raise DataError(
            f"{shown}: {len(set(names))} class names, not {layout.classes}; get the archive again"
        )
    if not all(map(is_plain_text, names)):
        raise DataError(f"{shown}: a class name has control characters; get the archive again")
    return tuple(names)
