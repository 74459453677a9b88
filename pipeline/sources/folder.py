"""A directory (or .tar, .tar.gz, .zip) of image files, a directory per class or a table of labels: `folder:PATH`."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import (
    AnyPositions,
    EncodedImage,
    ReadOptions,
    Slice,
    Source,
    SourceBatch,
    SourceInfo,
    dataset_name,
    file_digest,
)
from lpe.pipeline.sources.files import Files, compact
from lpe.pipeline.sources.folder_layout import sort_out
from lpe.pipeline.sources.imagefile import (
    LabelledImage,
    check_shape,
    decode_image,
    image_size,
    in_batches,
)
from lpe.pipeline.sources.labels_table import LabelsTable
from lpe.pipeline.sources.layout import is_image
from lpe.pipeline.sources.limits import MOST_CLASSES
from lpe.pipeline.sources.ranges import RangeReader
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

_HEADERS = 64
_PNG_GROWTH = 4  # a stored PNG against the file that it was decoded from, roughly
_LONG = 5.0  # seconds that are worth a note


class _Hash(Protocol):
    def digest(self) -> bytes: ...


class FolderSource(Source):
    """Image files in `[SPLIT/]CLASS/...`; without split directories everything is `train`.

    A single directory around it all is stepped into. Hidden files are passed over, and so are
    files that are no images outside of class directories (a README); inside, they are bad records.

    Raises:
      DataError: the path is missing, the archive damaged, there are no images, or one lies outside
        of a class directory.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.uri = f"folder:{path}"
        self._options = options
        self._table = LabelsTable.read(options.labels, options.limits) if options.labels is not None else None
        self._tree = FileTree(path, options.limits)
        try:
            files = self._tree.table
            if self._table is None:
                layout = sort_out(files.names, path, self._tree.passed_over, self._tree.directories)
            else:
                layout = self._table.sort_out(files.names, path, self._tree.passed_over)
            if len(layout.class_names) > MOST_CLASSES:
                what = "directories of images" if self._table is None else f"labels in {self._table.path}"
                raise DataError(
                    f"{path}: {len(layout.class_names)} {what}, more than {MOST_CLASSES}; there must be one for each "
                    "class"
                )
            self._labels = layout.labels
            self._rows: dict[str, np.ndarray] = {}
            for split, rows in layout.rows.items():
                self._rows[split] = self._by_hash(rows, hashlib.sha256)
            shape = self._shape()
        except BaseException:
            self.close()
            raise
        rows = np.concatenate([*self._rows.values()])
        self.info = SourceInfo(
            name=dataset_name(Path(path).name.split(".")[0]),
            class_names=layout.class_names,
            image_shape=shape,
            splits={split: len(rows) for split, rows in self._rows.items()},
            bytes_per_image=int(np.prod(shape))
            if shape
            else _PNG_GROWTH * int(files.sizes[rows].sum()) // len(rows),
            notes=self._tree.passed_over.notes(),
        )

    def digest(self) -> str:
        """See `FileTree`; of the table of labels, too, if there is one. What takes long is noted."""
        if self._options.digest == "names-and-sizes":
            digest = self._tree.digest_of_names()
        else:
            started = time.monotonic()
            digest = self._tree.digest()
            self._note_cost(time.monotonic() - started)
        if self._table is None:
            return digest
        return hashlib.sha256(f"{digest}\0{self._table.digest}\n".encode()).hexdigest()

    @property
    def temporary(self) -> bool:
        """See `Source`."""
        return self._tree.temporary

    def arrange(self, secret: bytes) -> None:
        """See `Source`: sorted by a keyed hash of the path. One without a key would tell whoever guesses file names."""
        keyed = functools.partial(hashlib.blake2b, key=secret, digest_size=16)
        self._rows = {split: self._by_hash(rows, keyed) for split, rows in self._rows.items()}

    def content_digests(self, split: str) -> np.ndarray:
        """See `Source`."""
        return self._tree.content_digests(self._rows[split])

    def names(self, split: str) -> list[str]:
        """See `Source`."""
        names = self._tree.table.names
        return [names[row] for row in self._rows[split].tolist()]

    def slice(self, split: str, positions: AnyPositions) -> FolderSlice:
        """See `Source`."""
        rows = self._rows[split][np.asarray(positions)]
        return FolderSlice(
            self._tree.path,
            self._tree.table.take(rows),
            compact(self._labels[rows]),
            self._options,
            self.info.image_shape,
        )

    def close(self) -> None:
        """See `Source`."""
        self._tree.close()

    def _by_hash(self, rows: np.ndarray, function: Callable[[bytes], _Hash]) -> np.ndarray:
        """Rows in the order of a hash of their files' names.

        By no class: consecutive images are mixed, so that shards are alike and the numbers in neutral ids do not tell
        the class.
        """
        names = self._tree.table.names
        hashes = b"".join([function(names[row].encode()).digest() for row in rows.tolist()])
        words = np.frombuffer(hashes, ">u8").astype(np.uint64).reshape(len(rows), -1)
        return rows[np.lexsort(words.T[::-1])]

    def _note_cost(self, seconds: float) -> None:
        if seconds < _LONG:
            return
        size = int(self._tree.table.sizes.sum())
        note = (
            f"read for the digest alone: {size:,} bytes of {len(self._tree.table):,} files in {seconds:.0f} s; "
            "--digest names-and-sizes reads none of them, and does not tell other contents from these"
        )
        self.info = dataclasses.replace(self.info, notes=(*self.info.notes, note))

    def _shape(self) -> ImageShape | None:
        """The shape of all images: the one asked for, or that of most among the first."""
        size = self._options.image_size
        if size == "any":
            return None
        if size == "same":
            table = self._tree.table
            rows = itertools.chain.from_iterable(rows.tolist() for rows in self._rows.values())
            first = itertools.islice((row for row in rows if is_image(table.names[row])), _HEADERS)
            with RangeReader() as reader:
                read = reader.read_each(table.take(np.array([*first], np.int64)).ranges())
                sizes = [image_size(data) for data in read]
            counts = collections.Counter(size for size in sizes if size is not None)
            if not counts:
                raise DataError(
                    f"{self._tree.path}: none of the first files is a readable image; check the path"
                )
            return (*counts.most_common(1)[0][0], self._options.channels)
        return (*size, self._options.channels)


@dataclasses.dataclass(frozen=True, eq=False)
class FolderSlice(Slice):
    """The slice of a folder: image files; those of another shape than `shape` (if it is fixed) are bad records."""

    root: str
    files: Files
    labels: np.ndarray
    options: ReadOptions
    shape: ImageShape | None

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """See `Slice`."""
        return in_batches(self._images(on_bad_record), batch_size)

    def encoded(self, on_bad_record: OnBadRecord) -> Iterator[EncodedImage]:
        """See `Slice`."""
        with RangeReader() as reader:
            # A file that is gone is no bad record: with `skip` an unmounted disk would pass unseen.
            files = zip(
                self.files.names, self.labels.tolist(), reader.read_each(self.files.ranges()), strict=True
            )
            for offset, (name, label, data) in enumerate(files):
                if is_image(name):
                    yield EncodedImage(offset, name, data, label)
                else:
                    on_bad_record(BadRecord(f"{self.root}/{name}", "not an image file"))

    def _images(self, on_bad_record: OnBadRecord) -> Iterator[LabelledImage]:
        for offset, name, data, label in self.encoded(on_bad_record):
            try:
                pixels = decode_image(data, self.options)
                check_shape(pixels, self.shape)
            except DataError as error:
                on_bad_record(BadRecord(f"{self.root}/{name}", str(error)))
            else:
                yield LabelledImage(offset, name, pixels, label, file_digest(data))
