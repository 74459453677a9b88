"""Parquet files with a column of images and one of labels, Hugging Face's or our own: `parquet:GLOB`."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset.metadata import file_sha256
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.records.parquet_file import damaged
from lpe.pipeline.sources.base import (
    AnyPositions,
    EncodedImage,
    ReadOptions,
    Slice,
    Source,
    SourceBatch,
    SourceInfo,
    dataset_name,
)
from lpe.pipeline.sources.imagefile import (
    LabelledImage,
    check_label,
    check_shape,
    decode_image,
    fit_image,
    image_size,
    in_batches,
)
from lpe.pipeline.sources.limits import MOST_CLASSES
from lpe.pipeline.sources.parquet_columns import REMEDY, Columns, choose
from lpe.pipeline.sources.parquet_files import (
    ParquetPart,
    check_size,
    common_directory,
    find,
    largest_label,
    opened,
    rows,
    split_of,
)
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

_FIRST = 64  # images that decide the size, as in folder
_PNG_GROWTH = 4  # a stored PNG against the file that it was decoded from, as in folder
_ORDER = ("train", "validation", "test")


class ParquetSource(Source):
    """The rows of Parquet files, in the order of the files' paths; a file's name tells its split.

    Args:
      pattern: the files, local or at gs:// or s3://.
      options: size and channels of the images, and perhaps the columns' names.

    Raises:
      DataError: there is no such file, one is damaged, or they have not the same columns and classes.
    """

    def __init__(self, pattern: str, options: ReadOptions) -> None:
        self.uri = f"parquet:{pattern}"
        self._options = options
        paths = find(pattern)
        self._common = common_directory(paths)
        self._columns: Columns | None = None
        files: dict[str, list[ParquetPart]] = {}
        stored = 0
        for path in paths:
            part, size = self._open(path)
            stored += size
            files.setdefault(split_of(path), []).append(part)
        ranks = {split: _ORDER.index(split) if split in _ORDER else len(_ORDER) for split in files}
        order = sorted(files, key=lambda split: (ranks[split], split))
        self._files = {split: tuple(files[split]) for split in order}
        splits = {split: sum(part.rows for part in parts) for split, parts in self._files.items()}
        if not sum(splits.values()):
            raise DataError(f"{pattern}: no rows there; check the pattern")
        shape = self._shape()
        self.info = SourceInfo(
            name=dataset_name(storage.base_name(self._common.rstrip("/"))),
            class_names=self._class_names(paths),
            image_shape=shape,
            splits=splits,
            bytes_per_image=int(np.prod(shape))
            if shape
            else max(1, _PNG_GROWTH * stored // sum(splits.values())),
        )

    @property
    def columns(self) -> Columns:
        """What is read of every file."""
        assert self._columns is not None  # there are files
        return self._columns

    def digest(self) -> str:
        """SHA-256 (hex) of the files' names and bytes, and the names of the columns that are read."""
        whole = hashlib.sha256(f"{self.columns.image}\0{self.columns.label}\n".encode())
        for part in itertools.chain.from_iterable(self._files.values()):
            whole.update(f"{part.name}\0{file_sha256(part.path)}\n".encode())
        return whole.hexdigest()

    def slice(self, split: str, positions: AnyPositions) -> ParquetSlice:
        """See `Source`."""
        parts = self._files[split]
        starts = list(itertools.accumulate((part.rows for part in parts), initial=0))
        first, stop = 0, 0
        if len(positions):
            first = bisect.bisect_right(starts, int(positions[:1][0])) - 1
            stop = bisect.bisect_right(starts, int(positions[len(positions) - 1 :][0]))
        classes, shape = len(self.info.class_names), self.info.image_shape
        return ParquetSlice(
            parts[first:stop], starts[first], positions, self._options, self.columns, classes, shape
        )

    def _open(self, path: str) -> tuple[ParquetPart, int]:
        """A file, and the bytes of its images as they are stored."""
        with opened(path) as (arrow, footer, file_bytes):
            with damaged(path, REMEDY):
                schema = arrow.schema_arrow
            columns = choose(schema, self._options, path)
            check_size(path, footer, file_bytes, self._options.limits)
            size = sum(group.size for group in footer.groups)
            self._columns = self._columns or columns
            if columns != self._columns:
                raise DataError(
                    f"{path}: its columns or classes are not those of the file before it; name files of one dataset"
                )
            return ParquetPart(path, path.removeprefix(self._common), footer.rows), size

    def _class_names(self, paths: list[str]) -> tuple[str, ...]:
        """Those that the files have; numbers otherwise."""
        if self.columns.class_names is not None:
            return self.columns.class_names
        most = max(largest_label(path, self.columns.label) for path in paths)
        if not 0 <= most < MOST_CLASSES:
            raise DataError(
                f"{self.uri}: the largest {self.columns.label!r} is {most}; labels are numbers from 0 to "
                f"{MOST_CLASSES - 1}"
            )
        return tuple(str(number) for number in range(most + 1))

    def _shape(self) -> ImageShape | None:
        """The shape of all images: asked for, declared, or that of most among the first."""
        size, channels, raw = self._options.image_size, self._options.channels, self.columns.raw_shape
        if isinstance(size, tuple):
            return (*size, channels)
        if raw is not None:
            return (*raw[:2], channels)
        if size == "any":
            return None
        part = next(part for parts in self._files.values() for part in parts if part.rows)
        first = rows(part, np.arange(min(_FIRST, part.rows)), self.columns)
        sizes = [image_size(data) for _, data, _ in first if data is not None]
        counts = collections.Counter(size for size in sizes if size is not None)
        if not counts:
            raise DataError(f"{part.path}: none of the first rows has a readable image; check the files")
        return (*counts.most_common(1)[0][0], channels)


@dataclasses.dataclass(frozen=True, eq=False)
class ParquetSlice(Slice):
    """The slice of a split at `positions` (int64, ascending), which lie in `parts`, whose first row is at `first`."""

    parts: tuple[ParquetPart, ...]
    first: int
    positions: AnyPositions
    options: ReadOptions
    columns: Columns
    classes: int
    shape: ImageShape | None

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """See `Slice`; a row without an image or a label is a bad record."""
        return in_batches(self._images(on_bad_record), batch_size)

    def encoded(self, on_bad_record: OnBadRecord) -> Iterator[EncodedImage] | None:
        """See `Slice`; a row without an image or a label is a bad record."""
        if self.columns.raw_shape is not None:
            return None
        return (
            EncodedImage(offset, f"{part.name}#{row}", stored, label)
            for offset, part, row, stored, label in self._rows(on_bad_record)
        )

    def _images(self, on_bad_record: OnBadRecord) -> Iterator[LabelledImage]:
        for offset, part, row, stored, label in self._rows(on_bad_record):
            try:
                pixels = self._pixels(stored)
            except DataError as error:
                on_bad_record(BadRecord(f"{part.path}: row {row}", str(error)))
            else:
                yield LabelledImage(offset, f"{part.name}#{row}", pixels, label)

    def _rows(self, on_bad_record: OnBadRecord) -> Iterator[tuple[int, ParquetPart, int, bytes, int]]:
        """Offset, file, row, image as it is stored and label of each row that has both."""
        positions = np.asarray(self.positions)
        offset, start = 0, self.first
        for part in self.parts:
            first, stop = np.searchsorted(positions, [start, start + part.rows])
            for row, stored, label in rows(part, positions[first:stop] - start, self.columns):
                try:
                    if stored is None:
                        raise DataError("it has no image")
                    if label is None:
                        raise DataError("it has no label")
                    check_label(label, self.classes)
                except DataError as error:
                    on_bad_record(BadRecord(f"{part.path}: row {row}", str(error)))
                else:
                    yield offset, part, row, stored, label
                offset += 1
            start += part.rows

    def _pixels(self, stored: bytes) -> np.ndarray:
        raw = self.columns.raw_shape
        if raw is None:
            image = decode_image(stored, self.options)
        else:
            image = fit_image(np.frombuffer(stored, np.uint8).reshape(raw), self.options)
        check_shape(image, self.shape)
        return image
