"""Shards as arrays: which images of a split, and whole groups of shards. Imports no Keras."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.records import tfrecord
from lpe.pipeline.records.bad_records import BadRecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of

_GZIP = b"\x1f\x8b"
_MOST_EXPANSION = 1032  # of gzip


def image_shape(dataset: Dataset) -> ImageShape:
    """(H, W, C) of every image of a dataset that can be trained on.

    Raises:
      DataError: its images are sealed, not on this machine or of several shapes.
    """
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


def check_lengths(dataset: Dataset, split: str) -> None:
    """Checks that a split's files can hold as many images as its metadata claim, before memory is asked for.

    Raises:
      DataError: one cannot, or is missing.
    """
    least = math.prod(image_shape(dataset)) if dataset.format.encoding == "raw" else 1
    framing = tfrecord.HEADER + tfrecord.FOOTER if dataset.format.file_format == "tfrecord" else 0
    for path, examples in zip(dataset.shard_paths(split), dataset.splits[split].shard_lengths, strict=True):
        try:
            with Path(path).open("rb") as file:
                room = _MOST_EXPANSION if file.read(2) == _GZIP else 1
                size = file.seek(0, os.SEEK_END)
        except FileNotFoundError:
            raise DataError(f"{path}: this shard is missing; restore it or write the dataset again") from None
        if examples * (least + framing) > size * room:
            raise DataError(
                f"{path}: its {size} bytes cannot hold the {examples} records that were written; restore it or write "
                "the dataset again"
            )


def is_held_out(position: np.ndarray, fraction: float) -> np.ndarray:
    """Whether examples belong to the part of a split that is held out.

    Multiples of the golden ratio modulo 1 (Knuth, The Art of Computer Programming 3, section 6.4): spread as evenly as
    every k-th, but in step with no period of the data, so that labels that come in turn (0, 1, 2, …) do not all fall on
    one side.

    Args:
      position: their positions in the split, int64 [N].
      fraction: how much is held out, 0..1.

    Returns:
      bool [N].
    """
    mask = 0xFFFFFFFF
    held_out: np.ndarray = ((position & mask) * 2654435769) & mask < int(fraction * 2**32)
    return held_out


@dataclasses.dataclass(frozen=True)
class Selection:
    """A selection of a split's examples, by their positions alone.

    Attributes:
      shard_lengths: examples of each shard.
      fraction: of the examples that `is_held_out`, 0..1.
      held_out: whether those are selected, or the others.
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
        """`mask`, the limit not counted."""
        first = sum(self.shard_lengths[:shard])
        positions = np.arange(first, first + self.shard_lengths[shard])
        held_out = is_held_out(positions, self.fraction)
        return held_out if self.held_out else ~held_out

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
    """The selected examples of some shards.

    Args:
      dataset: an open dataset on this machine.
      split: its name.
      shards: their numbers, in the order that is wanted.
      selection: which of the split's examples.

    Returns:
      Images uint8 [N, H, W, C] and labels int64 [N].

    Raises:
      DataError: a shard is missing, damaged or incomplete, by name.
    """
    order = list(shards)
    count = int(selection.counts()[order].sum())
    try:
        images = np.empty((count, *image_shape(dataset)), np.uint8)
    except MemoryError:
        raise DataError(
            f"{dataset.directory}: {count} images of split {split} do not fit into memory; write it in more shards"
        ) from None
    labels = np.empty(count, np.int64)
    start = 0
    for shard in order:
        mask, seen = selection.mask(shard), 0
        for batch in _batches(dataset, split, shard):
            chosen = mask[seen : seen + len(batch)]
            if len(chosen) < len(batch):
                raise DataError(
                    f"{dataset.shard_paths(split)[shard]}: more than the {len(mask)} records that were written; "
                    "restore it or write the dataset again"
                )
            part = slice(start, start + int(chosen.sum()))
            images[part], labels[part] = batch.images[chosen], batch.labels[chosen]
            seen += len(batch)
            start = part.stop
    return images, labels


def shard_bytes(dataset: Dataset, split: str) -> np.ndarray:
    """Bytes of the decoded images of each shard, int64 [shards]. Raises DataError as `image_shape` does."""
    return np.array(dataset.splits[split].shard_lengths, np.int64) * math.prod(image_shape(dataset))


def windows(sizes: np.ndarray, order: np.ndarray, limit: int) -> list[list[int]]:
    """Shards grouped so that no group of several is too large.

    Args:
      sizes: bytes of each shard, int64 [shards].
      order: the order in which shards fill groups, int64 [shards].
      limit: bytes that a group may have; a larger shard is a group of its own.
    """
    groups: list[list[int]] = []
    room = 0
    for shard, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if groups and size <= room:
            groups[-1].append(shard)
            room -= size
        else:
            groups.append([shard])
            room = limit - size
    return groups


def sample(dataset: Dataset, split: str, selection: Selection, count: int) -> np.ndarray:
    """`count` of the selected images, or as many as there are, evenly spread: uint8 [N, H, W, C].

    Raises:
      DataError: a shard is missing, damaged or incomplete, by name.
    """
    fewer = dataclasses.replace(selection, limit=min(count, selection.limit or count))
    return read_shards(dataset, split, range(len(fewer.shard_lengths)), fewer)[0]


def _batches(dataset: Dataset, split: str, shard: int) -> Iterator[ImageBatch]:
    recorded = dataset.shards(split)
    path, examples = dataset.shard_paths(split)[shard], dataset.splits[split].shard_lengths[shard]
    info = recorded[shard] if recorded is not None else None
    reader = ShardReader(path, dataset.format, examples, len(dataset.class_names), info)
    shape = image_shape(dataset)
    for batch in reader.batches(_refuse):
        if image_shape_of(batch.images) != shape:
            raise DataError(f"{path}: an image of shape {image_shape_of(batch.images)}, not {shape}")
        yield batch


def _refuse(record: BadRecord) -> NoReturn:
    raise DataError(
        f"{record.where}: damaged ({record.reason}); restore the file from a copy or write the dataset again (lpe "
        "verify lists all damage)"
    )
