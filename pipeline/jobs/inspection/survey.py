"""The survey of a source: every image looked at once, a few bytes kept of each."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lpe.pipeline.engine.progress import Update
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources.base import EncodedImage, ReadOptions, Slice, Source, file_digest
from lpe.pipeline.sources.depth import grey_range
from lpe.pipeline.sources.image_description import ImageDescription, describe
from lpe.pipeline.sources.imagefile import decode_image
from lpe.pipeline.sources.splits import SplitPart
from lpe.transforms.errors import DataError

_DECODED = 500
"""Image files that are decoded, spread evenly over all."""
_DECODED_PIXELS = 500_000_000
"""And no more once so many pixels are: some seconds."""
BACKGROUND = "white"
"""What transparent images are laid over where nothing is said."""
_NAMED = 5
_BATCH = 256
_STEPS = 256  # images between two signs of progress


@dataclasses.dataclass
class Faults:
    """Images with something wrong.

    Attributes:
      place: the path of the source, which is left out where an image's begins with it.
      count: how many.
      first: the first of them, with reasons.
    """

    place: str
    count: int = 0
    first: list[BadRecord] = dataclasses.field(default_factory=list)

    def add(self, record: BadRecord) -> None:
        """Takes note of one more."""
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(BadRecord(record.where.removeprefix(f"{self.place}/"), record.reason))

    def to_json(self) -> dict[str, Any]:
        """The part of `--json`."""
        return {"count": self.count, "first": [dataclasses.asdict(record) for record in self.first]}


@dataclasses.dataclass
class Survey:
    """What is known of a source's images, a row for each, split after split; rows of unreadable ones have no size.

    Attributes:
      class_names: class i is called class_names[i].
      splits: the rows of each split.
      encoded: whether the images are files; otherwise they are arrays, and only known as they are read.
      labels: int32 [N]; −1 where even that is not known.
      heights, widths: int32 [N], once upright; 0 where unreadable.
      digests: uint8 [N, 16], of each file, or of the pixels.
      unreadable: files that are no images by their headers, and damaged records.
      refused: those of the files that were decoded that cannot be read.
      bytes: of all files, or of all pixels.
      formats, modes: how many images are stored so.
      orientations: how many have a flag that says they are not upright, by the flag, 2 to 8.
      transparent, animated, deep: how many may have transparent pixels, have several frames or pages, more than 8
        bits.
      grey_range: the lowest and the highest value of grey of more than 8 bits, in files that were decoded; (∞, −∞) if
        there is none.
      large: how many have more pixels than the limit.
      decoded: how many files were decoded as well, see `_DECODED`.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, range]
    encoded: bool
    labels: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    digests: np.ndarray
    unreadable: Faults
    refused: Faults
    bytes: int = 0
    formats: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    modes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    orientations: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    transparent: int = 0
    animated: int = 0
    deep: int = 0
    grey_range: tuple[float, float] = (math.inf, -math.inf)
    large: int = 0
    decoded: int = 0

    @property
    def readable(self) -> np.ndarray:
        """Bool [N]: which rows are images."""
        return self.heights > 0

    def counts(self) -> dict[str, np.ndarray]:
        """Readable images of each class, int64 [classes], by split."""
        return {
            split: np.bincount(
                self.labels[rows.start : rows.stop][self.readable[rows.start : rows.stop]],
                minlength=len(self.class_names),
            )
            for split, rows in self.splits.items()
        }

    def split_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of each row's split."""
        return np.searchsorted([split.stop for split in self.splits.values()], rows, side="right")


def survey(source: Source, options: ReadOptions, update: Update) -> Survey:
    """Looks at every image of a source: the header and the bytes of files, and of some the pixels too.

    Args:
      source: opened so that images keep their sizes.
      options: how the files that are decoded would be read; what they do not decide is decided for them, so that only
        damaged ones, and those that need a `window`, cannot be.
      update: called now and then with images done and images in all.

    Raises:
      DataError: the source is damaged as a whole.
    """
    stops = list(itertools.accumulate(source.info.splits.values(), initial=0))
    total = stops[-1]
    decoded = decided(options)
    place = source.uri.partition(":")[2].rstrip("/")
    found = Survey(
        class_names=source.info.class_names,
        splits={
            split: range(*bounds)
            for split, bounds in zip(source.info.splits, itertools.pairwise(stops), strict=True)
        },
        encoded=False,
        labels=np.full(total, -1, np.int32),
        heights=np.zeros(total, np.int32),
        widths=np.zeros(total, np.int32),
        digests=np.zeros((total, 16), np.uint8),
        unreadable=Faults(place),
        refused=Faults(place),
    )
    for split, rows in found.splits.items():
        part = source.slice(split, SplitPart(split, len(rows)).positions(0, len(rows)))
        for done in _looked_at(found, part, rows.start, decoded):
            update(rows.start + done, total)
        update(rows.stop, total)
    return found


def decided(options: ReadOptions) -> ReadOptions:
    """The options, with a background, a depth and a frame where they have none."""
    return dataclasses.replace(
        options,
        background=options.background or BACKGROUND,
        depth=options.depth or (None if options.window is not None else 8),
        frame=options.frame or 0,
    )


def _looked_at(found: Survey, part: Slice, start: int, options: ReadOptions) -> Iterator[int]:
    """Notes every image of a split whose first row is `start`; now and then how many are done."""
    encoded = part.encoded(found.unreadable.add)
    if encoded is None:
        for batch in part.batches(_BATCH, found.unreadable.add):
            _note_pixels(found, start + batch.offsets, batch.images, batch.labels)
            yield int(batch.offsets[-1]) + 1
        return
    found.encoded = True
    step = -(-len(found.labels) // _DECODED)
    pixels = 0
    for image in encoded:
        row = start + image.offset
        if image.offset % _STEPS == 0:
            yield image.offset
        described = _note_file(found, row, image, options)
        if described is None or row % step or pixels >= _DECODED_PIXELS:
            continue
        size = described.height * described.width
        if size <= options.limits.pixels:
            pixels += size
            _decode(found, image, described, options)


def _note_pixels(found: Survey, rows: np.ndarray, images: np.ndarray, labels: np.ndarray) -> None:
    count, height, width, channels = images.shape
    found.labels[rows] = labels
    found.heights[rows], found.widths[rows] = height, width
    found.bytes += images.nbytes
    found.modes["grey" if channels == 1 else "RGB"] += count
    shape = f"{height}x{width}".encode()  # the same bytes in another shape are another image
    for row, image in zip(rows.tolist(), images, strict=True):
        found.digests[row] = np.frombuffer(file_digest(shape + image.tobytes()), np.uint8)


def _note_file(found: Survey, row: int, image: EncodedImage, options: ReadOptions) -> ImageDescription | None:
    """Notes a file, and describes it; None if it is unreadable."""
    found.labels[row] = image.label
    found.digests[row] = np.frombuffer(file_digest(image.data), np.uint8)
    found.bytes += len(image.data)
    try:
        described = describe(image.data)
    except DataError as error:
        found.unreadable.add(BadRecord(image.name, str(error)))
        return None
    found.heights[row], found.widths[row] = described.size
    found.formats[described.format] += 1
    found.modes[mode_name(described)] += 1
    if described.orientation != 1:
        found.orientations[described.orientation] += 1
    found.transparent += described.transparent
    found.animated += described.frames > 1
    found.deep += described.bits > 8
    found.large += described.height * described.width > options.limits.pixels
    return described


def _decode(found: Survey, image: EncodedImage, described: ImageDescription, options: ReadOptions) -> None:
    found.decoded += 1
    try:
        decode_image(image.data, options)
        if described.bits > 8 and (values := grey_range(image.data)) is not None:
            low, high = found.grey_range
            found.grey_range = min(low, values[0]), max(high, values[1])
    except DataError as error:
        found.refused.add(BadRecord(image.name, str(error)))


_MODES = {"1": "black and white", "L": "grey", "LA": "grey", "La": "grey", "P": "palette", "PA": "palette"}


def mode_name(described: ImageDescription) -> str:
    """The colours of an image in words, e.g. `RGB`, `grey`, `palette`, `16-bit grey`."""
    mode = described.mode
    name = "grey" if mode.startswith(("I", "F")) else _MODES.get(mode, mode.removesuffix("A"))
    return f"{described.bits}-bit {name}" if described.bits > 8 else name
