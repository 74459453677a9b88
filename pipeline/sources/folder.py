"""A directory (or .tar, .tar.gz) of image files, one directory per class: `folder:PATH`."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from pipeline.sources.archive import ByteRange, FileTree
from pipeline.sources.base import (
    BadRecord,
    OnBadRecord,
    ReadOptions,
    Slice,
    Source,
    SourceBatch,
    SourceInfo,
)
from pipeline.sources.imagefile import SUFFIXES, decode_image, image_size
from transforms.errors import DataError

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_HEADERS = 64
_PNG_GROWTH = 4  # a stored PNG against the file that it was decoded from, roughly


@dataclasses.dataclass(frozen=True)
class _File:
    """An image file: its path in the source, where its bytes are, its class."""

    name: str
    bytes: ByteRange
    label: int


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
        self._tree = FileTree(path)
        try:
            self._files, class_names = _sort_out(self._tree, path)
            shape = self._shape()
        except BaseException:
            self.close()
            raise
        sizes = [file.bytes.size for files in self._files.values() for file in files]
        self.info = SourceInfo(
            name=_dataset_name(path),
            class_names=class_names,
            image_shape=shape,
            splits={split: len(files) for split, files in self._files.items()},
            bytes_per_image=int(np.prod(shape)) if shape else _PNG_GROWTH * sum(sizes) // len(sizes),
        )

    def digest(self) -> str:
        """See `FileTree.digest`."""
        return self._tree.digest()

    def slice(self, split: str, positions: np.ndarray) -> FolderSlice:
        files = self._files[split]
        chosen = tuple(files[position] for position in positions.tolist())
        return FolderSlice(self.uri.removeprefix("folder:"), chosen, self._options, self.info.image_shape)

    def close(self) -> None:
        self._tree.close()

    def _shape(self) -> tuple[int, int, int] | None:
        """The shape of all images: the one asked for, or that of most among the first."""
        size = self._options.image_size
        if size == "any":
            return None
        if size == "same":
            files = itertools.islice(itertools.chain.from_iterable(self._files.values()), _HEADERS)
            sizes = [image_size(file.bytes.read()) for file in files]
            found = collections.Counter(size for size in sizes if size is not None)
            if not found:
                raise DataError(
                    f"{self._tree.path}: none of the first files is a readable image; check the path"
                )
            return (*found.most_common(1)[0][0], self._options.channels)
        return (*size, self._options.channels)


@dataclasses.dataclass(frozen=True, eq=False)
class FolderSlice(Slice):
    """Some image files; those of another shape than `shape` (if it is fixed) are bad records."""

    root: str
    files: tuple[_File, ...]
    options: ReadOptions
    shape: tuple[int, int, int] | None

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        waiting: list[tuple[int, np.ndarray]] = []
        for offset, image in self._images(on_bad_record):
            if waiting and (len(waiting) == batch_size or waiting[0][1].shape != image.shape):
                yield self._batch(waiting)
                waiting = []
            waiting.append((offset, image))
        if waiting:
            yield self._batch(waiting)

    def _images(self, on_bad_record: OnBadRecord) -> Iterator[tuple[int, np.ndarray]]:
        opened = _Opened()
        try:
            for offset, file in enumerate(self.files):
                try:
                    yield offset, self._decode(file, opened)
                except DataError as error:
                    on_bad_record(BadRecord(f"{self.root}/{file.name}", str(error)))
        finally:
            opened.close()

    def _decode(self, file: _File, opened: _Opened) -> np.ndarray:
        if PurePosixPath(file.name).suffix.lower() not in SUFFIXES:
            raise DataError("not an image file")
        image = decode_image(opened.read(file.bytes), self.options)
        if self.shape is not None and image.shape != self.shape:
            raise DataError(
                f"it is {image.shape[0]}x{image.shape[1]}, the others are {self.shape[0]}x{self.shape[1]} (pass "
                "--image-size HEIGHTxWIDTH to resize all, or --image-size any to keep all sizes)"
            )
        return image

    def _batch(self, waiting: list[tuple[int, np.ndarray]]) -> SourceBatch:
        files = [self.files[offset] for offset, _ in waiting]
        return SourceBatch(
            offsets=np.array([offset for offset, _ in waiting], np.int64),
            names=[file.name for file in files],
            images=np.stack([image for _, image in waiting]),
            labels=np.array([file.label for file in files], np.int64),
        )


class _Opened:
    """Reads byte ranges; the file of the last one stays open, since an archive's lie in one file."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def read(self, where: ByteRange) -> bytes:
        if self._path != where.path or self._file is None:
            self.close()
            try:
                self._file = Path(where.path).open("rb")  # noqa: SIM115  (closed by close)
            except OSError as error:
                raise DataError(f"cannot be opened: {error.strerror}") from error
            self._path = where.path
        self._file.seek(where.offset)
        return self._file.read(where.size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def _sort_out(tree: FileTree, path: str) -> tuple[dict[str, list[_File]], tuple[str, ...]]:
    """The files of each split, in the source's order, and the class names."""
    shown = {name: tuple(name.split("/")) for name in tree.files}
    kept = {
        n: parts for n, parts in shown.items() if not any(p.startswith(".") or p in _IGNORED for p in parts)
    }
    # A file that is no image and lies in no class directory says nothing about the layout.
    images = [parts for parts in kept.values() if PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES]
    if not images:
        raise DataError(f"{path}: no images there; check the path")
    around = 0
    while (
        len({parts[around] for parts in images}) == 1
        and min(len(parts) for parts in images) >= around + 3
        and images[0][around].lower() not in _SPLITS
    ):
        around += 1
    in_splits = all(parts[around].lower() in _SPLITS for parts in images)
    found: dict[str, list[tuple[str, str]]] = {}
    for name, parts in kept.items():
        inner = parts[around:]
        split = _SPLITS.get(inner[0].lower(), "train") if in_splits else "train"
        inner = inner[1:] if in_splits else inner
        if len(inner) >= 2:
            found.setdefault(split, []).append((name, inner[0]))
        elif parts in images:
            raise DataError(f"{path}/{name}: this image is in no class directory; move it into one")
    class_names = tuple(sorted({label for files in found.values() for _, label in files}))
    numbers = {label: number for number, label in enumerate(class_names)}
    ordered = [split for split in ("train", "validation", "test") if split in found]
    # Sorted by a hash of the path, not by class: consecutive images are mixed, so that shards are
    # alike and the numbers in neutral ids do not tell the class.
    return {
        split: [
            _File(name, tree.files[name], numbers[label])
            for name, label in sorted(
                found[split], key=lambda item: hashlib.sha256(item[0].encode()).digest()
            )
        ]
        for split in ordered
    }, class_names


def _dataset_name(path: str) -> str:
    stem = Path(path).name.split(".")[0]
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem).strip("_")
    return name if name[:1].isalpha() else f"images_{name}".strip("_")
