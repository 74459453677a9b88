"""The interface of a source of images: a description, a digest, and slices to read."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import math
import typing
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.limits import DEFAULT, Limits
from lpe.pipeline.sources.splits import Positions
from lpe.transforms.errors import UsageError, did_you_mean
from lpe.transforms.image_shape import ImageShape

AnyPositions = np.ndarray | Positions
"""Positions in a split, int64 [N], ascending."""

ImageSize = tuple[int, int] | Literal["same", "any"]
"""(height, width), or a word; see `ReadOptions`."""


DigestMode = Literal["contents", "names-and-sizes"]
"""See `ReadOptions`."""
Fit = Literal["crop", "stretch"]
"""How an image becomes one of another aspect; see `ReadOptions`."""

Resampling = Literal["lanczos", "bilinear", "box"]
"""The filter that scales images."""

_JPEG_REDUCTION = 2


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """What is read of a source, the pixels that its images become, and the limits on what that may cost.

    Attributes:
      image_size: `"same"`: all images must have one size, another is a bad record;
        `"any"`: every image keeps its size; `(height, width)`: see `fit`.
      grey: one channel instead of three.
      fit: `"crop"`: an image is cropped to the aspect of `image_size` around its centre and scaled; `"stretch"`: it is
        scaled, whatever its aspect.
      resample: the filter that scales it.
      background: a colour, `#rrggbb` or a CSS name, that transparent pixels are laid over; None: they are bad records.
      depth: 8: of channels of more than 8 bits the upper 8 are read; None: they are bad records.
      window: (low, high): grey of more than 8 bits becomes 0 at low and 255 at high, linearly in between.
      frame: which frame or page is read of files that have several, from 0; None: they are bad records.
      limits: see `Limits`.
      digest: what tells a folder from others: `"contents"`, all bytes of it are read for that; or its files'
        `"names-and-sizes"`, then other contents are not told from these.
      labels: a table (CSV or Parquet) of a folder's images and their labels; None: each is in its class's directory.
      image_key: the image among a dataset's features; None for the one that it is for, or has alone.
      label_key: the label among them, likewise.
    """

    image_size: ImageSize = "same"
    grey: bool = False
    limits: Limits = DEFAULT
    digest: DigestMode = "contents"
    labels: str | None = None
    image_key: str | None = None
    label_key: str | None = None
    fit: Fit = "crop"
    resample: Resampling = "lanczos"
    background: str | None = None
    depth: int | None = None
    window: tuple[float, float] | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        size = self.image_size
        if isinstance(size, tuple) and not 1 <= size[0] * size[1] <= self.limits.pixels:
            raise UsageError(
                f"--image-size {size[0]}x{size[1]}: at least 1x1, and {self.limits.pixels} pixels at most"
            )
        for name, value, kind in (("fit", self.fit, Fit), ("resample", self.resample, Resampling)):
            words = typing.get_args(kind)
            if value not in words:
                raise UsageError(f"--{name} {value}: give {' or '.join(words)}{did_you_mean(value, words)}")
        if self.background is not None and _rgb(self.background) is None:
            raise UsageError(f"--background {self.background}: give a colour such as white or #ff8000")
        if self.depth not in (None, 8):
            raise UsageError(f"--depth {self.depth}: images are read in 8 bits; give 8")
        if self.window is not None and not -math.inf < self.window[0] < self.window[1] < math.inf:
            low, high = self.window
            raise UsageError(
                f"--window {low:g}:{high:g}: give LOW:HIGH, two numbers of which the second is larger"
            )
        if self.frame is not None and self.frame < 0:
            raise UsageError(f"--frame {self.frame}: frames are counted from 0")

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.grey else 3

    @property
    def jpeg_reduction(self) -> int | None:
        """A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is at least so many times the size asked for.

        On ten photographs (those of scikit-image and matplotlib, to 64..224 pixels) a value differs by 0.5 of 255 in
        the mean and by 15 at most (44.9 dB and more with lanczos, 42.5 with bilinear) from what decoding in full gives;
        saving a JPEG again changes more. Box sees the coarser pixels' edges (64, 32.5 dB), so there it is None.
        """
        return None if self.resample == "box" else _JPEG_REDUCTION

    def pixel_settings(self) -> dict[str, Any]:
        """What decides which pixels an image file becomes, as JSON values."""
        return {
            "image_size": self.image_size,
            "grey": self.grey,
            "orientation": "exif",
            "fit": self.fit,
            "resample": self.resample,
            "jpeg_reduction": self.jpeg_reduction,
            "background": None if self.background is None else _rgb(self.background),
            "depth": self.depth,
            "window": None if self.window is None else dict(zip(("low", "high"), self.window, strict=True)),
            "frame": self.frame,
        }


def _rgb(colour: str) -> str | None:
    """A colour as `#rrggbb`; None if it is none, or has an alpha."""
    from PIL import ImageColor  # noqa: PLC0415  (most options name no colour)

    try:
        channels = ImageColor.getrgb(colour)
    except ValueError:
        return None
    return "#{:02x}{:02x}{:02x}".format(*channels) if len(channels) == 3 else None


DIGEST_BYTES = 16
"""The size of `file_digest`."""


def file_digest(data: bytes) -> bytes:
    """What tells an image's file from others: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def dataset_name(stem: str) -> str:
    """A dataset's name, after what its images lie in."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem).strip("_")
    return name if name[:1].isalpha() else f"images_{name}".strip("_")


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """The content of a source, known before any image is decoded.

    Attributes:
      name: a name for the dataset, letters, digits and underscores.
      class_names: class i is called class_names[i].
      image_shape: (H, W, C), or None where shapes differ.
      splits: examples per split, in the source's order of splits.
      bytes_per_image: expected size in bytes of one stored image, for choosing the shard count.
      notes: what its user should know: what was passed over, a line for each kind, with counts.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    splits: Mapping[str, int]
    bytes_per_image: int
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SourceBatch:
    """Consecutive readable images of a slice, all of one shape.

    Attributes:
      offsets: int64 [N], index of each image in its slice, ascending (bad records are missing).
      names: the images' original names, e.g. `train/cat/0001.jpg` or `data_batch_1.bin#17`; unique in the source.
      images: uint8 [N, H, W, C].
      labels: int64 [N].
      digests: `file_digest` of each image, where it is a file.
    """

    offsets: np.ndarray
    names: list[str]
    images: np.ndarray
    labels: np.ndarray
    digests: list[bytes] | None = None


class EncodedImage(NamedTuple):
    """One image of a slice as it is stored: index in the slice, original name, bytes of a file, class."""

    offset: int
    name: str
    data: bytes
    label: int


class Slice(abc.ABC):
    """Some images of one split: a small picklable value, read on whatever machine works on it.

    Slices are immutable. Each call of `batches` opens files of its own and gives the same images while the source
    stays the same; several threads or processes may read at once, one iterator belongs to one thread. The arrays of
    a batch may be read-only: copy before changing.
    """

    @abc.abstractmethod
    def __len__(self) -> int:
        """Images in the slice, bad ones included; known without reading."""

    @abc.abstractmethod
    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """Reads the slice in order, at most `batch_size` images at a time.

        Args:
          batch_size: the most images in a batch.
          on_bad_record: called for each image that is damaged or does not fit, on the thread that iterates.

        Raises:
          DataError: the whole slice is unreadable: a missing file, a truncated archive.
        """

    def encoded(self, on_bad_record: OnBadRecord) -> Iterator[EncodedImage] | None:
        """Reads the slice in order without decoding it; None where images are not stored as image files.

        Args:
          on_bad_record: called for each image that is missing, or by its name none; not for what would not decode.

        Raises:
          DataError: as for `batches`.
        """
        return None


class Source(abc.ABC):
    """Labelled images in splits, each image at a fixed position of its split.

    The order of positions is part of the source: the same content gives the same order on every machine. A source
    is opened, asked and closed by one thread where the job starts, and never changes what it reads; it may hold
    temporary files, so use it as a context manager. What travels to workers are its slices.

    Attributes:
      uri: names the source, see `lpe.pipeline.sources.KINDS`.
      info: what it holds.
    """

    uri: str
    info: SourceInfo

    @property
    def temporary(self) -> bool:
        """Whether slices read temporary files of this machine, which `close` removes."""
        return False

    @abc.abstractmethod
    def digest(self) -> str:
        """SHA-256 (hex) of the source's content: other bytes, another digest."""

    def arrange(self, secret: bytes) -> None:  # noqa: B027  (most sources have an order of their own)
        """Puts images that have no order of their own into one that only who knows `secret` can tell; before `slice`.

        Args:
          secret: 32 bytes.
        """

    def content_digests(self, split: str) -> np.ndarray | None:
        """`file_digest` of each image of `split`, uint8 [N, 16], in the order of positions; None where it has no files.

        Reads the files, unless `digest` has; after `arrange`.

        Raises:
          DataError: a file is gone.
        """
        return None

    def names(self, split: str) -> list[str] | None:
        """The original name of each image of `split`, in the order of positions; None where that takes reading them."""
        return None

    @abc.abstractmethod
    def slice(self, split: str, positions: AnyPositions) -> Slice:
        """The images of `split`, a key of `info.splits`, at `positions` (int64 [N], ascending)."""

    def close(self) -> None:  # noqa: B027  (most sources have nothing to remove)
        """Removes temporary files; slices that read them cannot be read any more. May be called again."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
