"""Any TFDS dataset with an image and a label, through TFDS's own reader: `tfds:NAME[/CONFIG]`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.sources.base import (
    BadRecord,
    OnBadRecord,
    ReadOptions,
    Slice,
    Source,
    SourceBatch,
    SourceInfo,
)
from pipeline.sources.imagefile import fit_image
from transforms.errors import DataError, UsageError

_GUESS = 224 * 224 * 3  # bytes of an image where shapes differ


def _library() -> Any:
    try:
        import tensorflow  # noqa: F401, PLC0415  (TFDS imports without it, and fails later)
        import tensorflow_datasets  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "TFDS sources need an extra: pip install 'learnable-pixel-encryption[tfds]'"
        ) from error
    return tensorflow_datasets


class TfdsSource(Source):
    """A prepared TFDS dataset, or one that TFDS can download and prepare; order as in its files.

    Args:
      name: NAME or NAME/CONFIG[:VERSION], as for `tfds.load`.
      options: size and channels of the images.
      data_dir: where TFDS keeps datasets; TFDS_DATA_DIR or its own default otherwise.

    Raises:
      UsageError: TFDS is not installed.
      DataError: there is no such dataset, it cannot be prepared, or has no image with a class label.
    """

    def __init__(self, name: str, options: ReadOptions, data_dir: str | None = None) -> None:
        tfds = _library()
        self.uri = f"tfds:{name}"
        self._name = name
        # Looked up here, so that workers elsewhere look in the same place.
        self._data_dir = data_dir or os.environ.get("TFDS_DATA_DIR")
        self._options = options
        try:
            self._builder = tfds.builder(name, data_dir=self._data_dir)
        except Exception as error:  # TFDS has many kinds for what it does not know
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{self.uri}: {reason}; see tfds.list_builders() for names") from error
        try:
            self._builder.download_and_prepare()
        except Exception as error:
            raise DataError(
                f"{self.uri}: could not be downloaded and prepared ({type(error).__name__}); prepare it with TFDS on a "
                "machine that can, and set TFDS_DATA_DIR to its folder"
            ) from error
        info = self._builder.info
        self._image, self._label = _features(info, tfds, self.uri)
        shape = tuple(info.features[self._image].shape)
        self.info = SourceInfo(
            name=name.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0],
            class_names=tuple(info.features[self._label].names),
            image_shape=_output_shape(shape, options),
            splits={split: part.num_examples for split, part in info.splits.items()},
            bytes_per_image=int(np.prod(shape)) if None not in shape else _GUESS,
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

    def slice(self, split: str, positions: np.ndarray) -> TfdsSlice:
        return TfdsSlice(
            self._name,
            self._data_dir,
            split,
            positions,
            self._options,
            self._image,
            self._label,
            self.info.image_shape,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class TfdsSlice(Slice):
    """The examples of a split at `positions` (int64, ascending)."""

    name: str
    data_dir: str | None
    split: str
    positions: np.ndarray
    options: ReadOptions
    image: str
    label: str
    shape: tuple[int, int, int] | None

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, batch_size: int, on_bad_record: OnBadRecord) -> Iterator[SourceBatch]:
        waiting: list[tuple[int, str, np.ndarray, int]] = []
        for offset, name, pixels, label in self._examples():
            image = fit_image(pixels, self.options)
            if self.shape is not None and image.shape != self.shape:
                size = f"it is {image.shape[0]}x{image.shape[1]}; pass --image-size HEIGHTxWIDTH, or any"
                on_bad_record(BadRecord(f"tfds:{self.name} {name}", size))
                continue
            if waiting and (len(waiting) == batch_size or waiting[0][2].shape != image.shape):
                yield _to_batch(waiting)
                waiting = []
            waiting.append((offset, name, image, label))
        if waiting:
            yield _to_batch(waiting)

    def _examples(self) -> Iterator[tuple[int, str, np.ndarray, int]]:
        """Offset in the slice, original name, pixels and label of each example."""
        if not len(self.positions):
            return
        tfds = _library()
        first, last = int(self.positions[0]), int(self.positions[-1])
        builder = tfds.builder(self.name, data_dir=self.data_dir)
        # One file after the other: with more at once the order would depend on TFDS's settings.
        config = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True, try_autocache=False)
        read = builder.as_dataset(
            split=f"{self.split}[{first}:{last + 1}]", shuffle_files=False, read_config=config
        )
        wanted = iter(enumerate(self.positions.tolist()))
        offset, position = next(wanted)
        for at, example in enumerate(tfds.as_numpy(read), first):
            if at == position:
                name = example["id"] if isinstance(example.get("id"), bytes) else example["tfds_id"]
                yield offset, name.decode(), example[self.image], int(example[self.label])
                offset, position = next(wanted, (0, -1))


def _to_batch(waiting: list[tuple[int, str, np.ndarray, int]]) -> SourceBatch:
    return SourceBatch(
        offsets=np.array([offset for offset, *_ in waiting], np.int64),
        names=[name for _, name, _, _ in waiting],
        images=np.stack([image for _, _, image, _ in waiting]),
        labels=np.array([label for *_, label in waiting], np.int64),
    )


def _features(info: Any, tfds: Any, uri: str) -> tuple[str, str]:
    """The names of the image and the label feature: the supervised pair, else the only ones."""
    features = info.features
    labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    images = [
        name
        for name, feature in features.items()
        if feature.np_dtype == np.uint8 and len(feature.shape) == 3 and feature.shape[-1] in (1, 3)
    ]
    for image, label in ((info.supervised_keys or ("image", "label"))[:2], ("image", "label")):
        if image in images and label in labels:
            return image, label
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    raise DataError(
        f"{uri}: needs a uint8 image of 1 or 3 channels and a class label; it has {', '.join(features)}"
    )


def _output_shape(shape: tuple[int | None, ...], options: ReadOptions) -> tuple[int, int, int] | None:
    if isinstance(options.image_size, tuple):
        return (*options.image_size, options.channels)
    if options.image_size == "any" or None in shape:
        return None
    return (int(shape[0] or 0), int(shape[1] or 0), options.channels)
