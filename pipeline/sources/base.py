"""What every source of images offers: a description, a digest, and slices to read."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Literal

import numpy as np

from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.splits import Positions

AnyPositions = np.ndarray | Positions
"""Places in a split, int64 and ascending."""

ImageSize = tuple[int, int] | Literal["same", "any"]


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How image files become arrays.

    Attributes:
      image_size: `"same"`: all images must have one size, another is a bad record;
        `"any"`: every image keeps its size; `(height, width)`: crop to that aspect and resize.
      grey: one channel instead of three.
    """

    image_size: ImageSize = "same"
    grey: bool = False

    @property
    def channels(self) -> int:
        return 1 if self.grey else 3


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """What a source holds, known before any image is decoded.

    Attributes:
      name: a name for the dataset, letters, digits and underscores.
      class_names: class i is called class_names[i].
      image_shape: (H, W, C), or None where shapes differ.
      splits: examples per split, in the source's order of splits.
      bytes_per_image: expected size of one stored image, for choosing the shard count.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int] | None
    splits: Mapping[str, int]
    bytes_per_image: int


@dataclasses.dataclass(frozen=True)
class SourceBatch:
    """Consecutive readable images of a slice, all of one shape.

    Attributes:
      offsets: int64 [N], index of each image in its slice, ascending (bad records are missing).
      names: the images' original names, e.g. `train/cat/0001.jpg` or `data_batch_1.bin#17`.
      images: uint8 [N, H, W, C].
      labels: int64 [N].
    """

    offsets: np.ndarray
    names: list[str]
    images: np.ndarray
    labels: np.ndarray


class Slice(abc.ABC):
    """Some images of one split; a small picklable value, read on whatever machine works on it."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Images in the slice, bad ones included."""

    @abc.abstractmethod
    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """Reads the slice in order, at most `batch_size` images at a time.

        A single damaged or unfitting image goes to `on_bad_record`; what makes the whole
        slice unreadable (a missing file, a truncated archive) raises `DataError`.
        """


class Source(abc.ABC):
    """Labelled images in splits, each image at a fixed position of its split.

    The order of positions is part of the source: the same content gives the same order on
    every machine. A source may hold temporary files: use it as a context manager.
    """

    uri: str
    info: SourceInfo

    @property
    def temporary(self) -> bool:
        """Whether slices read temporary files of this machine."""
        return False

    @abc.abstractmethod
    def digest(self) -> str:
        """SHA-256 (hex) of the source's content: other bytes, another digest."""

    @abc.abstractmethod
    def slice(self, split: str, positions: AnyPositions) -> Slice:
        """The images of `split` at `positions` (int64 [N], ascending)."""

    def close(self) -> None:  # noqa: B027  (most sources have nothing to remove)
        """Removes temporary files; slices cannot be read any more."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
