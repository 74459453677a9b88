"""A shard whose examples can be read in any order: mapped into memory where it lies, or decoded."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lpe.pipeline import storage
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.records.index import Index, index
from lpe.train.loading.files import ShardFiles, refuse
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of


class OpenedShard(Protocol):
    """The examples of a shard that was compared with what was recorded of it."""

    memory_bytes: int
    """What it takes of this process's own memory, or of the disk, if the file lies in a cache."""

    def read_ahead(self) -> None:
        """Has the system fetch the file, without waiting for it."""

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """The labels of some examples, int64 [M]."""

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The images of some examples, uint8 [M, H, W, C], a copy."""

    def ids(self, rows: np.ndarray) -> list[str]:
        """The ids of some examples."""


class MappedShard:
    """Records of raw images, read from the pages of the file, which processes share.

    Args:
      path: the file's, for messages.
      data: its bytes, mapped.
      places: of all fields.
      shape: (H, W, C) of each image as it is stored.
    """

    def __init__(self, path: str, mapped: mmap.mmap, places: Index, shape: ImageShape) -> None:
        self.memory_bytes = len(mapped) if storage.is_remote(path) else 0
        self._path = path
        self._mapped = mapped
        self._data = np.frombuffer(mapped, np.uint8)
        self._places = places
        self._shape = shape
        height, width, channels = shape
        self._at_any_place = sliding_window_view(self._data, height * width * channels)

    def read_ahead(self) -> None:
        """See `OpenedShard`."""
        self._mapped.madvise(mmap.MADV_WILLNEED)

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """See `OpenedShard`."""
        labels: np.ndarray = self._places.labels[rows]
        return labels

    def images(self, rows: np.ndarray) -> np.ndarray:
        """See `OpenedShard`."""
        images: np.ndarray = self._at_any_place[self._places.images[rows]]
        return images.reshape(len(rows), *self._shape)

    def ids(self, rows: np.ndarray) -> list[str]:
        """See `OpenedShard`."""
        return self._places.id_texts(self._data, rows, self._path)


class UnsealedShard:
    """A mapped shard whose images are transformed whenever they are read, so that no more than a batch is held."""

    def __init__(
        self, shard: MappedShard, path: str, shape: ImageShape, transform: Callable[[ImageBatch], ImageBatch]
    ) -> None:
        self.memory_bytes = shard.memory_bytes
        self._shard = shard
        self._path = path
        self._shape = shape
        self._transform = transform
        self.read_ahead = shard.read_ahead
        self.labels = shard.labels
        self.ids = shard.ids

    def images(self, rows: np.ndarray) -> np.ndarray:
        """See `OpenedShard`."""
        images = self._shard.images(rows)
        batch = self._transform(ImageBatch(self._shard.ids(rows), images, self._shard.labels(rows)))
        if image_shape_of(batch.images) != self._shape:
            raise DataError(
                f"{self._path}: an image of shape {image_shape_of(batch.images)}, not {self._shape}"
            )
        return batch.images


class DecodedShard:
    """Examples that were all decoded, whatever their format."""

    def __init__(self, ids: list[str], images: np.ndarray, labels: np.ndarray) -> None:
        self._ids = ids
        self._images = images
        self._labels = labels
        self.memory_bytes = images.nbytes

    def read_ahead(self) -> None:
        """See `OpenedShard`."""

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """See `OpenedShard`."""
        labels: np.ndarray = self._labels[rows]
        return labels

    def images(self, rows: np.ndarray) -> np.ndarray:
        """See `OpenedShard`."""
        images: np.ndarray = self._images[rows]
        return images

    def ids(self, rows: np.ndarray) -> list[str]:
        """See `OpenedShard`."""
        return [self._ids[row] for row in rows.tolist()]


def open_examples(files: ShardFiles, split: str, shard: int, *, checked: bool) -> OpenedShard:
    """Opens a shard, after it was compared with what was recorded of it.

    Args:
      files: the dataset's.
      split: its name.
      shard: its number.
      checked: it was compared before.

    Raises:
      DataError: it is missing, damaged or incomplete, by name.
    """
    reader = files.reader(split, shard)
    mapped = _mapped(reader)
    places = index(np.frombuffer(mapped, np.uint8), reader.format) if mapped is not None else None
    shape = reader.format.image_shape
    if (
        mapped is None
        or places is None
        or shape is None
        or len(places) != reader.examples
        or not (places.labels >= 0).all()
        or not (places.labels < reader.classes).all()
        or not (checked or _is_as_recorded(reader, mapped))
    ):
        return _decoded(files, split, shard)  # which says what is wrong, if anything is
    opened = MappedShard(reader.path, mapped, places, shape)
    if files.transform is None:
        return opened
    return UnsealedShard(opened, reader.path, files.image_shape, files.transform)


def _mapped(reader: ShardReader) -> mmap.mmap | None:
    """The file of raw images in memory; None for an empty one, and for others."""
    if reader.format.encoding != "raw" or not reader.examples:
        return None
    with reader.open_shard(reader.path, reader.recorded) as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # a stream, an empty file
            return None


def _is_as_recorded(reader: ShardReader, mapped: mmap.mmap) -> bool:
    """Whether a file, which has an index, is what was written; without a SHA-256 every record's checksum says so."""
    recorded = reader.recorded
    if recorded is not None and recorded.sha256 is not None:
        return hashlib.sha256(mapped).hexdigest() == recorded.sha256
    for _ in reader.batches(refuse):
        pass
    return True


def _decoded(files: ShardFiles, split: str, shard: int) -> DecodedShard:
    count = files.dataset.splits[split].shard_lengths[shard]
    try:
        images = np.empty((count, *files.image_shape), np.uint8)
    except MemoryError:
        raise DataError(
            f"{files.dataset.shard_path(split, shard)}: its {count} images do not fit into memory; write the dataset "
            "in more shards"
        ) from None
    labels = np.empty(count, np.int64)
    ids: list[str] = []
    for batch in files.batches(split, shard):  # no more than `count`, or it raises
        part = slice(len(ids), len(ids) + len(batch))
        images[part], labels[part] = batch.images, batch.labels
        ids += batch.ids
    return DecodedShard(ids, images, labels)
