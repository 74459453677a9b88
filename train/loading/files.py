"""The shard files of a dataset that can be trained on, and their images."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.cached import CACHE_BYTES, CachedShards, opener
from lpe.pipeline.dataset.reader import OpenShard, ShardReader, open_shard
from lpe.pipeline.records import tfrecord
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.seal.opening import DataKeySource, opener_if_sealed
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of

BatchTransform = Callable[[ImageBatch], ImageBatch]
"""What is done to every batch right after it was decoded; called by several threads."""

_GZIP = b"\x1f\x8b"
_MOST_EXPANSION = 1032  # of gzip


@dataclasses.dataclass(frozen=True)
class ShardFiles:
    """The shards of an open dataset: how their files are opened, and what is done to their images.

    A value: picklable where `open_shard` and `transform` are.

    Attributes:
      dataset: an open dataset.
      open_shard: opens a shard's file; None for the files as they lie on this machine.
      transform: done to every decoded batch, the seal's opening for one; None for nothing.

    Raises:
      DataError: the images are sealed and there is no transform, on another machine and there is no `open_shard`, or
        of several shapes.
    """

    dataset: Dataset
    open_shard: OpenShard | None = None
    transform: BatchTransform | None = None

    def __post_init__(self) -> None:
        directory = self.dataset.directory
        if self.transform is None:
            self.dataset.check_open()
        if self.open_shard is None and storage.is_remote(directory):
            raise DataError(f"{directory}: shards in a bucket are read through a cache, and there is none")
        if self.dataset.image_shape is None:
            raise DataError(
                f"{directory}: its images differ in shape; ingest them with --image-size to train on them"
            )

    @property
    def image_shape(self) -> ImageShape:
        """(H, W, C) of every image, as training sees it."""
        shape = self.dataset.image_shape
        assert shape is not None  # checked above
        return shape

    def image_bytes(self, split: str) -> np.ndarray:
        """Bytes of the decoded images of each shard of a split, int64 [shards]."""
        return np.array(self.dataset.splits[split].shard_lengths, np.int64) * math.prod(self.image_shape)

    def reader(self, split: str, shard: int) -> ShardReader:
        """The reader of a shard, which knows nothing of `transform`."""
        data = self.dataset
        recorded = data.shards(split)
        return ShardReader(
            data.shard_path(split, shard),
            data.format,
            data.splits[split].shard_lengths[shard],
            len(data.class_names),
            recorded[shard] if recorded is not None else None,
            open_shard=self.open_shard or open_shard,
        )

    def expect(self, split: str, order: Iterable[int]) -> None:
        """Says which shards will be opened next, in this order, so that those in a bucket are fetched ahead."""
        if isinstance(self.open_shard, CachedShards):
            readers = [self.reader(split, shard) for shard in order]
            self.open_shard.expect([(reader.path, reader.recorded) for reader in readers])

    def most_open(self, memory_bytes: int) -> int:
        """What may be open at once of a split that is given so much memory: no more than fits into a cache."""
        bound = self.open_shard.cache_bytes if isinstance(self.open_shard, CachedShards) else memory_bytes
        return min(memory_bytes, bound)

    def batches(self, split: str, shard: int) -> Iterator[ImageBatch]:
        """The images of a shard, in order, transformed.

        Raises:
          DataError: the shard is missing, damaged or incomplete, by name.
        """
        reader = self.reader(split, shard)
        for decoded in reader.batches(refuse):
            batch = decoded if self.transform is None else self.transform(decoded)
            if image_shape_of(batch.images) != self.image_shape:
                raise DataError(
                    f"{reader.path}: an image of shape {image_shape_of(batch.images)}, not {self.image_shape}"
                )
            yield batch


def shard_files(
    dataset: Dataset,
    data_key: str | DataKeySource | None = None,
    cache: str | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> ShardFiles:
    """The shards of an open dataset, wherever they are and whether they are sealed or not.

    Args:
      dataset: an open dataset.
      data_key: the path of the data key that opens its seal, or what else gives it; None where there is none.
      cache: the directory, on this machine, of shards from a bucket; None for the default one.
      cache_bytes: what the cache may take of the disk.

    Raises:
      DataError: the images are of several shapes, or sealed and there is no data key, or the cache cannot be used.
      KeyStoreError: the data key is missing, may be read by others, or is another dataset's.
    """
    return ShardFiles(
        dataset, opener(dataset.directory, cache, cache_bytes), opener_if_sealed(dataset, data_key)
    )


def check_lengths(files: ShardFiles, split: str, without: frozenset[int] = frozenset()) -> None:
    """Checks that a split's files can hold as many images as its metadata claim, before memory is asked for.

    Of files elsewhere, what was recorded of their sizes is compared.

    Args:
      files: the dataset's.
      split: its name.
      without: shards that are left out.

    Raises:
      DataError: one cannot, or is missing.
    """
    dataset = files.dataset
    stored = dataset.format.image_shape
    least = math.prod(stored) if dataset.format.encoding == "raw" and stored is not None else 1
    framing = tfrecord.HEADER + tfrecord.FOOTER if dataset.format.file_format == "tfrecord" else 0
    paths, recorded = dataset.shard_paths(split), dataset.shards(split)
    for shard, (path, examples) in enumerate(zip(paths, dataset.splits[split].shard_lengths, strict=True)):
        if shard in without:
            continue
        if not storage.is_remote(path):
            size, zipped = _local_size(path)
        elif recorded is not None:
            size, zipped = recorded[shard].bytes, True
        else:
            continue
        if examples * (least + framing) > size * (_MOST_EXPANSION if zipped else 1):
            raise DataError(
                f"{path}: its {size} bytes cannot hold the {examples} records that were written; restore it or write "
                "the dataset again"
            )


def _local_size(path: str) -> tuple[int, bool]:
    """A file's bytes, and whether they are gzip's."""
    with open_shard(path, None) as file:
        return file.seek(0, os.SEEK_END), os.pread(file.fileno(), 2, 0) == _GZIP


def refuse(record: BadRecord) -> NoReturn:
    """Raises DataError for a damaged record; training leaves none out."""
    raise DataError(
        f"{record.where}: damaged ({record.reason}); restore the file from a copy or write the dataset again (lpe "
        "verify lists all damage)"
    )
