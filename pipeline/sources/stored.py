"""The images of a dataset by their positions, as a source; jobs read datasets a shard at a time instead."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.base import AnyPositions, Slice, Source, SourceBatch, SourceInfo
from lpe.pipeline.sources.plan import plan_dataset

_GUESS = 224 * 224 * 3  # bytes of an image where shapes differ


class DatasetSource(Source):
    """A plain dataset, in the order of its shards; damaged records have no position.

    Args:
      path: its home or version directory.

    Raises:
      DataError: there is none, it is damaged, empty or encrypted.
    """

    def __init__(self, path: str) -> None:
        plan = plan_dataset(open_dataset(path))
        plan.require_plain("lpe show draws it, lpe verify checks it")
        self.uri = f"dataset:{path}"
        self._digest = plan.digest
        self._readers: dict[str, list[Reader]] = {split: [] for split in plan.splits}
        for task in plan.tasks:
            self._readers[task.split].append(task.reader)
        self.info = SourceInfo(
            name=plan.name,
            class_names=plan.class_names,
            image_shape=plan.image_shape,
            splits={
                split: sum(reader.expected() for reader in readers)
                for split, readers in self._readers.items()
            },
            bytes_per_image=math.prod(plan.image_shape) if plan.image_shape else _GUESS,
        )

    def digest(self) -> str:
        """See `Source`."""
        return self._digest

    def slice(self, split: str, positions: AnyPositions) -> DatasetSlice:
        """See `Source`."""
        return DatasetSlice(tuple(self._readers[split]), np.asarray(positions))


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetSlice(Slice):
    """The slice of a dataset's split, whose shards `readers` read, at `positions` (int64, ascending)."""

    readers: Sequence[Reader]
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """See `Slice`; shards without any of the positions are not read."""
        start = 0
        for reader in self.readers:
            stop = start + reader.expected()
            first, last = np.searchsorted(self.positions, [start, stop])
            if first < last:
                yield from self._batches(reader, start, first, last, batch_size, on_bad_record)
            start = stop

    def _batches(
        self, reader: Reader, start: int, first: int, last: int, batch_size: int, on_bad_record: OnBadRecord
    ) -> Iterator[SourceBatch]:
        """Those among positions `first` … `last` − 1 of a shard whose first image is at `start`."""
        wanted = self.positions[first:last] - start
        at = 0
        for batch in reader.batches(on_bad_record):
            here = np.searchsorted(wanted, [at, at + len(batch)])
            for i in range(here[0], here[1], batch_size):
                chosen = wanted[i : min(i + batch_size, here[1])] - at
                yield SourceBatch(
                    offsets=first + i + np.arange(len(chosen), dtype=np.int64),
                    names=[batch.ids[j] for j in chosen.tolist()],
                    images=batch.images[chosen],
                    labels=batch.labels[chosen],
                )
            at += len(batch)
