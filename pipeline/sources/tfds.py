"""Any TFDS dataset with an image and a label, through TFDS's own reader: `tfds:NAME[/CONFIG][:VERSION]`."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.sources.base import AnyPositions, ReadOptions, Slice, Source, SourceBatch, SourceInfo
from lpe.pipeline.sources.imagefile import (
    LabelledImage,
    check_label,
    check_shape,
    fit_image,
    in_batches,
)
from lpe.pipeline.sources.tfds_features import choose_features
from lpe.pipeline.sources.tfds_records import read_records
from lpe.transforms.errors import DataError
from lpe.transforms.extras import require
from lpe.transforms.image_shape import ImageShape

FORMATS = ("tfrecord", "array_record", "parquet")
"""The formats of TFDS's files that are read."""

_FIRST = 64  # images that decide the size, as in folder
_GUESS = 224 * 224 * 3  # bytes of an image where shapes differ


def _library(name: str = "tensorflow_datasets") -> Any:
    """TFDS, or TensorFlow: an extra, and slow to load, so not before it is needed. Raises UsageError."""
    require("tensorflow", "tfds")  # TFDS imports without it, and fails later
    return require(name, "tfds")


class TfdsSource(Source):
    """A prepared TFDS dataset, or one that TFDS can download and prepare; order as in its files.

    Args:
      name: NAME[/CONFIG][:VERSION], as for `tfds.load`.
      options: size and channels of the images, and which features they and their labels are.
      data_dir: where TFDS keeps datasets; TFDS_DATA_DIR or its own default otherwise.

    Raises:
      UsageError: TFDS is not installed.
      DataError: there is no such dataset, it cannot be prepared, or has no image with a class label.
      UsageError: it has several, and none is chosen, or one that it has not.
    """

    def __init__(self, name: str, options: ReadOptions, data_dir: str | None = None) -> None:
        tfds = _library()
        self.uri = f"tfds:{name}"
        self._name = name
        # Looked up here, so that workers elsewhere look in the same place.
        place = data_dir or os.environ.get("TFDS_DATA_DIR")
        self._data_dir = place and storage.absolute(place)
        self._options = options
        try:
            self._builder = tfds.builder(name, data_dir=self._data_dir)
        except Exception as error:  # TFDS has many kinds for what it does not know
            raise DataError(
                f"{self.uri}: {_first_line(error)}; see tfds.list_builders() for names"
            ) from error
        try:
            self._builder.download_and_prepare()
        except Exception as error:
            raise DataError(
                f"{self.uri}: could not be downloaded and prepared ({type(error).__name__}); prepare it with TFDS on a "
                "machine that can, and set TFDS_DATA_DIR to its folder"
            ) from error
        info = self._builder.info
        if (form := _file_format(info)) not in FORMATS:
            raise DataError(
                f"{self.uri}: its files are {form}; convert it with tfds convert_format to one of {', '.join(FORMATS)}"
            )
        self._image, self._label = choose_features(info, options, self.uri)
        shape = self._shape(tuple(info.features[self._image].shape))
        self.info = SourceInfo(
            name=name.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0],
            class_names=tuple(info.features[self._label].names),
            image_shape=shape,
            splits={split: part.num_examples for split, part in info.splits.items()},
            bytes_per_image=int(np.prod(shape)) if shape else _GUESS,
        )

    def digest(self) -> str:
        """SHA-256 (hex) of the dataset's name, config, version, and its shards' lengths and bytes.

        TFDS keeps no checksum of what it wrote: a file changed behind its back is not noticed here.
        """
        info = self._builder.info
        parts = [info.full_name]
        for split in sorted(info.splits):
            lengths = ",".join(map(str, info.splits[split].shard_lengths))
            parts.append(f"{split} {lengths} {info.splits[split].num_bytes}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def slice(self, split: str, positions: AnyPositions) -> TfdsSlice:
        """See `Source`."""
        return self._slice(split, positions, self.info.image_shape)

    def _slice(self, split: str, positions: AnyPositions, shape: ImageShape | None) -> TfdsSlice:
        return TfdsSlice(
            self._name,
            self._data_dir,
            split,
            positions,
            self._options,
            self._image,
            self._label,
            len(self._builder.info.features[self._label].names),
            shape,
        )

    def _shape(self, declared: tuple[int | None, ...]) -> ImageShape | None:
        """The shape of all images: asked for, declared, or that of most among the first."""
        size, channels = self._options.image_size, self._options.channels
        if isinstance(size, tuple):
            return (*size, channels)
        if size == "any":
            return None
        height, width, _ = declared
        if height is not None and width is not None:
            return (height, width, channels)
        split, part = next(iter(self._builder.info.splits.items()))
        positions = np.arange(min(_FIRST, part.num_examples))
        examples = self._slice(split, positions, None).examples()
        counts = collections.Counter(pixels.shape[:2] for _, _, pixels, _ in examples)
        return (*counts.most_common(1)[0][0], channels) if counts else None


@dataclasses.dataclass(frozen=True, eq=False)
class TfdsSlice(Slice):
    """The slice of a TFDS dataset: the examples of a split at `positions` (int64, ascending)."""

    name: str
    data_dir: str | None
    split: str
    positions: AnyPositions
    options: ReadOptions
    image: str
    label: str
    classes: int
    shape: ImageShape | None

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        """See `Slice`; an image without a label is a bad record."""
        return in_batches(self._images(on_bad_record), batch_size)

    def _images(self, on_bad_record: OnBadRecord) -> Iterator[LabelledImage]:
        for offset, name, pixels, label in self.examples():
            image = fit_image(pixels, self.options)
            try:
                check_label(label, self.classes)
                check_shape(image, self.shape)
            except DataError as error:
                on_bad_record(BadRecord(f"tfds:{self.name} {name}", str(error)))
            else:
                yield LabelledImage(offset, name, image, label)

    def examples(self) -> Iterator[tuple[int, str, np.ndarray, int]]:
        """Offset in the slice, original name, pixels as stored and label of each example.

        Raises:
          DataError: a file is missing, damaged or holds fewer examples than TFDS noted.
        """
        if not len(self.positions):
            return
        seen = 0
        try:
            for offset, example in self._read():
                seen += 1
                name = example["id"] if isinstance(example.get("id"), bytes) else example["tfds_id"]
                text = name.decode(errors="backslashreplace")
                yield offset, text, example[self.image], int(example[self.label])
        except _library("tensorflow").errors.OpError as error:
            # TFDS 4.9.10 loses examples where it writes more than 100 to a Parquet file.
            raise DataError(
                f"tfds:{self.name}: split {self.split} cannot be read ({_first_line(error)}); prepare the dataset "
                "again, as tfrecord or array_record"
            ) from error
        if seen != len(self.positions):
            raise DataError(f"tfds:{self.name}: split {self.split} lacks examples; prepare the dataset again")

    def _read(self) -> Iterator[tuple[int, dict[str, Any]]]:
        tfds = _library()
        positions = np.asarray(self.positions)
        first, last = int(positions[0]), int(positions[-1])
        builder = tfds.builder(self.name, data_dir=self.data_dir)
        if _file_format(builder.info) != "tfrecord":
            return enumerate(tfds.as_numpy(self._decoded(builder, positions)))
        # One file after the other: with more at once the order would depend on TFDS's settings.
        config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True, try_autocache=False)
        read = builder.as_dataset(
            split=f"{self.split}[{first}:{last + 1}]", shuffle_files=False, read_config=config
        )
        wanted = np.isin(np.arange(first, last + 1), positions).tolist()
        return enumerate(itertools.compress(tfds.as_numpy(read), wanted))

    def _decoded(self, builder: Any, positions: np.ndarray) -> Any:
        """The examples of files that `as_dataset` does not read, as a tf.data.Dataset that decodes them as it does."""
        tf = _library("tensorflow")

        def decode(name: Any, record: Any) -> dict[str, Any]:
            return {**builder.info.features.deserialize_example(record), "tfds_id": name}

        columns = (tuple(zip(*chunk, strict=True)) for chunk in read_records(builder, self.split, positions))
        texts = tf.TensorSpec([None], tf.string)
        read = tf.data.Dataset.from_generator(lambda: columns, output_signature=(texts, texts))
        return read.unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(1)


def _file_format(info: Any) -> str:
    """The format of a dataset's files; TFDS did not always note it."""
    return "tfrecord" if info.file_format is None else str(info.file_format.value)


def _first_line(error: Exception) -> str:
    """What an error says, without what TensorFlow puts before it."""
    text = re.sub(r"^\{\{.*?\}\} ", "", str(error).strip())
    return (text.splitlines() or [type(error).__name__])[0]
