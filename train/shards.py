"""Reading shards: which images of a split, and whole groups of shards as arrays. NumPy and our own records alone."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import NoReturn

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.records.bad_records import BadRecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError


def image_shape(dataset: Dataset) -> tuple[int, int, int]:
    """(H, W, C) of every image. Raises DataError where shapes differ, or images are sealed or not on this machine."""
    dataset.check_open()
    if storage.is_remote(dataset.directory):
        raise DataError(
            f"{dataset.directory}: training reads local files; copy the dataset to this machine first"
        )
    if dataset.image_shape is None:
        raise DataError(
            f"{dataset.directory}: its images differ in shape; ingest them with --image-size to train on them"
        )
    return dataset.image_shape


def is_held_out(position: np.ndarray, fraction: float) -> np.ndarray:
    """Whether the examples at positions (int64) belong to the held-out `fraction`, bool.

    Golden-ratio steps: spread as evenly as every k-th, but in step with no period of the data, so that
    labels that come in turn (0, 1, 2, …) do not all fall on one side.
    """
    mask = 0xFFFFFFFF
    return ((position & mask) * 2654435769) & mask < int(fraction * 2**32)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which examples of a split, by their positions alone.

    Attributes:
      shard_lengths: examples of each shard.
      fraction: of the examples that `is_held_out`.
      held_out: those, or the others.
      limit: at most so many of them, evenly spread; None for all.
    """

    shard_lengths: tuple[int, ...]
    fraction: float = 0.0
    held_out: bool = False
    limit: int | None = None

    def counts(self) -> np.ndarray:
        """How many examples of each shard, int64 [shards]."""
        lengths = self._eligible
        ends = self._kept(np.cumsum(lengths), int(lengths.sum()))
        return np.diff(ends, prepend=0)

    def mask(self, shard: int) -> np.ndarray:
        """Which examples of a shard, bool [length]."""
        chosen = self._mask(shard)
        if self.limit is not None:
            lengths = self._eligible
            ranks = int(lengths[:shard].sum()) + np.cumsum(chosen)
            total = int(lengths.sum())
            chosen &= self._kept(ranks, total) > self._kept(ranks - 1, total)
        return chosen

    def _mask(self, shard: int) -> np.ndarray:
        first = sum(self.shard_lengths[:shard])
        positions = np.arange(first, first + self.shard_lengths[shard])
        return is_held_out(positions, self.fraction) == self.held_out

    @functools.cached_property
    def _eligible(self) -> np.ndarray:
        """Examples of each shard, the limit not counted."""
        return np.array([int(self._mask(shard).sum()) for shard in range(len(self.shard_lengths))])

    def _kept(self, ranks: np.ndarray, total: int) -> np.ndarray:
        """How many of the first `ranks` are within the limit, which is spread evenly over `total`."""
        if self.limit is None or self.limit >= total:
            return ranks
        return ranks * self.limit // total


def read_shards(
    dataset: Dataset, split: str, shards: Iterable[int], selection: Selection
) -> tuple[np.ndarray, np.ndarray]:
    """The selected examples of some shards of a split: images uint8 [N, H, W, C], labels int64 [N].

    Raises:
      DataError: a shard is missing, damaged or incomplete, by name.
    """
    order = list(shards)
    count = int(selection.counts()[order].sum())
    images = np.empty((count, *image_shape(dataset)), np.uint8)
    labels = np.empty(count, np.int64)
    at = 0
    for shard in order:
        mask, seen = selection.mask(shard), 0
        for batch in _batches(dataset, split, shard):
            chosen = mask[seen : seen + len(batch)]
            part = slice(at, at + int(chosen.sum()))
            images[part], labels[part] = batch.images[chosen], batch.labels[chosen]
            seen += len(batch)
            at = part.stop
    return images, labels


def shard_bytes(dataset: Dataset, split: str) -> np.ndarray:
    """Bytes of the decoded images of each shard, int64 [shards]."""
    return np.array(dataset.splits[split].shard_lengths, np.int64) * int(np.prod(image_shape(dataset)))


def windows(sizes: np.ndarray, order: np.ndarray, limit: int) -> list[list[int]]:
    """Shards in `order`, grouped so that no group of several holds more than `limit` of `sizes`."""
    groups: list[list[int]] = []
    for shard in order.tolist():
        if groups and sizes[[*groups[-1], shard]].sum() <= limit:
            groups[-1].append(shard)
        else:
            groups.append([shard])
    return groups


def sample(dataset: Dataset, split: str, selection: Selection, count: int) -> np.ndarray:
    """`count` of the selected images, or as many as there are, evenly spread: uint8 [N, H, W, C]."""
    fewer = dataclasses.replace(selection, limit=min(count, selection.limit or count))
    return read_shards(dataset, split, range(len(fewer.shard_lengths)), fewer)[0]


def _batches(dataset: Dataset, split: str, shard: int) -> Iterator[ImageBatch]:
    recorded = dataset.shards(split)
    path, examples = dataset.shard_paths(split)[shard], dataset.splits[split].shard_lengths[shard]
    info = recorded[shard] if recorded is not None else None
    reader = ShardReader(path, dataset.format, examples, len(dataset.class_names), info)
    shape = image_shape(dataset)
    for batch in reader.batches(_raise):
        if batch.images.shape[1:] != shape:
            raise DataError(f"{path}: an image of shape {batch.images.shape[1:]}, not {shape}")
        yield batch


def _raise(record: BadRecord) -> NoReturn:
    raise DataError(
        f"{record.where}: damaged ({record.reason}); restore the file from a copy or write the dataset again (lpe "
        "verify lists all damage)"
    )
