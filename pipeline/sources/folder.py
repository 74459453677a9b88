"""A directory (or .tar, .tar.gz) of image files, one directory per class: `folder:PATH`."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

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
from lpe.pipeline.sources.folder_layout import Layout, is_image, sort_out
from lpe.pipeline.sources.imagefile import (
    LabelledImage,
    check_shape,
    decode_image,
    image_size,
    in_batches,
)
from lpe.pipeline.sources.limits import MOST_CLASSES
from lpe.pipeline.sources.ranges import ByteRange, RangeReader
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

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
        self._tree = FileTree(path, options.limits)
        try:
            layout = sort_out(self._tree.files, path)
            self._files, class_names = _files(self._tree, layout), layout.class_names
            if len(class_names) > MOST_CLASSES:
                raise DataError(
                    f"{path}: {len(class_names)} directories of images, more than {MOST_CLASSES}; there must "
                    "be one for each class"
                )
            shape = self._shape()
        except BaseException:
            self.close()
            raise
        sizes = [file.bytes.size for files in self._files.values() for file in files]
        self.info = SourceInfo(
            name=dataset_name(Path(path).name.split(".")[0]),
            class_names=class_names,
            image_shape=shape,
            splits={split: len(files) for split, files in self._files.items()},
            bytes_per_image=int(np.prod(shape)) if shape else _PNG_GROWTH * sum(sizes) // len(sizes),
        )

    def digest(self) -> str:
        """See `FileTree.digest`."""
        return self._tree.digest()

    @property
    def temporary(self) -> bool:
        """See `Source`."""
        return self._tree.temporary

    def arrange(self, secret: bytes) -> None:
        """See `Source`: sorted by a keyed hash of the path. One without a key would tell whoever guesses file names."""
        self._files = {
            split: sorted(
                files,
                key=lambda file: hashlib.blake2b(file.name.encode(), key=secret, digest_size=16).digest(),
            )
            for split, files in self._files.items()
        }

    def content_digests(self, split: str) -> np.ndarray:
        """See `Source`."""
        with RangeReader() as reader:
            read = reader.read_each(file.bytes for file in self._files[split])
            digests = b"".join(file_digest(data) for data in read)
        return np.frombuffer(digests, np.uint8).reshape(-1, 16)

    def slice(self, split: str, positions: AnyPositions) -> FolderSlice:
        """See `Source`."""
        files = self._files[split]
        chosen = tuple(files[position] for position in np.asarray(positions).tolist())
        return FolderSlice(self.uri.removeprefix("folder:"), chosen, self._options, self.info.image_shape)

    def close(self) -> None:
        """See `Source`."""
        self._tree.close()

    def _shape(self) -> ImageShape | None:
        """The shape of all images: the one asked for, or that of most among the first."""
        size = self._options.image_size
        if size == "any":
            return None
        if size == "same":
            files = itertools.chain.from_iterable(self._files.values())
            first = itertools.islice((file for file in files if is_image(file.name)), _HEADERS)
            with RangeReader() as reader:
                sizes = [image_size(data) for data in reader.read_each(file.bytes for file in first)]
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
    files: tuple[_File, ...]
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
            read = reader.read_each(file.bytes for file in self.files)
            for offset, (file, data) in enumerate(zip(self.files, read, strict=True)):
                if is_image(file.name):
                    yield EncodedImage(offset, file.name, data, file.label)
                else:
                    on_bad_record(BadRecord(f"{self.root}/{file.name}", "not an image file"))

    def _images(self, on_bad_record: OnBadRecord) -> Iterator[LabelledImage]:
        for offset, name, data, label in self.encoded(on_bad_record):
            try:
                pixels = decode_image(data, self.options)
                check_shape(pixels, self.shape)
            except DataError as error:
                on_bad_record(BadRecord(f"{self.root}/{name}", str(error)))
            else:
                yield LabelledImage(offset, name, pixels, label, file_digest(data))


def _files(tree: FileTree, layout: Layout) -> dict[str, list[_File]]:
    """The files of each split, in the source's order.

    Sorted by a hash of the path, not by class: consecutive images are mixed, so that shards are alike and the numbers
    in neutral ids do not tell the class.
    """
    numbers = {label: number for number, label in enumerate(layout.class_names)}
    return {
        split: [
            _File(name, tree.files[name], numbers[label])
            for name, label in sorted(files, key=lambda item: hashlib.sha256(item[0].encode()).digest())
        ]
        for split, files in layout.files.items()
    }
