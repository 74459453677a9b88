"""What a network is trained, validated and measured on. Imports no Keras."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.train.loading.examples import MEMORY_BYTES, Examples
from lpe.train.loading.files import ShardFiles
from lpe.train.loading.random_access import SplitReader
from lpe.train.loading.selection import Selection
from lpe.transforms.errors import DataError


@dataclasses.dataclass
class EpochClock:
    """The epoch, from 0, whose order of images the training input takes next; set before each epoch."""

    epoch: int = 0


@dataclasses.dataclass(frozen=True)
class TrainingInput:
    """The images of a dataset that a network is trained and validated on.

    Attributes:
      train: batches, all of one size, in an order that follows from the seed and the epoch alone.
      validation: batches in a fixed order.
      split: of the images that are trained on, the augmented copies left out.
      selection: which images of that split.
    """

    train: Examples
    validation: Examples
    split: str
    selection: Selection


def training_input(
    files: ShardFiles,
    *,
    batch_size: int,
    seed: int,
    validation_fraction: float,
    images: int | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> TrainingInput:
    """The splits `train` and `validation`; without the latter, `validation_fraction` of `train` is held out.

    Which images are held out depends on their positions alone. Where the owner added augmented copies of the training
    images, epochs take turns: the images as they are, the first copy, and so on. Validation images are never
    augmented, and no copy of them is trained on.

    Args:
      files: the dataset's.
      batch_size: where it exceeds the training images, batches have as many as there are.
      seed: of the order of the training images.
      validation_fraction: 0..1.
      images: train on at most so many, evenly spread; None for all.
      memory_bytes: memory for the images of each input; larger splits are streamed.

    Raises:
      DataError: no split `train`, or too few images.
    """
    dataset = files.dataset
    if "train" not in dataset.splits:
        raise DataError(f"{dataset.directory}: no split 'train'; it has {', '.join(dataset.splits)}")
    train_split = SplitReader(files, "train", memory_bytes)
    lengths = dataset.splits["train"].shard_lengths
    copies = tuple(SplitReader(files, copy, memory_bytes) for copy in dataset.copies("train"))
    for copy in copies:
        if dataset.splits[copy.split].shard_lengths != lengths:
            raise DataError(
                f"{dataset.directory}: split {copy.split} has shards of other lengths than 'train', which it is a copy "
                "of; write the dataset again"
            )
    has_validation = "validation" in dataset.splits and dataset.splits["validation"].examples > 0
    fraction = 0.0 if has_validation else validation_fraction
    selection = Selection(lengths, fraction, limit=images)
    count = int(selection.counts().sum())
    held_out = Selection(lengths, fraction, held_out=True)
    if count < 1 or (not has_validation and held_out.counts().sum() < 1):
        raise DataError(
            f"{dataset.directory}: {sum(lengths)} training images are too few to train and validate"
        )
    batch_size = min(batch_size, count)
    validation = (
        evaluation_input(files, "validation", batch_size)
        if has_validation
        else Examples((train_split,), held_out, batch_size, memory_bytes=memory_bytes)
    )
    train = Examples(
        (train_split, *copies),
        selection,
        batch_size,
        seed=seed,
        drop_rest=True,
        memory_bytes=memory_bytes,
    )
    return TrainingInput(train, validation, "train", selection)


def evaluation_input(
    files: ShardFiles, split: str, batch_size: int, memory_bytes: int = MEMORY_BYTES
) -> Examples:
    """All images of a split, in the order on disk.

    Args:
      files: the dataset's.
      split: its name.
      batch_size: images in a batch; the last one may have fewer.
      memory_bytes: memory for the images; a larger split is streamed.

    Raises:
      DataError: no such split, or a shard that cannot hold its images.
    """
    reader = SplitReader(files, split, memory_bytes)
    everything = Selection(files.dataset.splits[split].shard_lengths)
    return Examples((reader,), everything, batch_size, memory_bytes=memory_bytes)


def sample(files: ShardFiles, split: str, selection: Selection, count: int) -> np.ndarray:
    """`count` of the selected images, or as many as there are, evenly spread: uint8 [N, H, W, C].

    Raises:
      DataError: a shard is missing, damaged or incomplete, by name.
    """
    fewer = dataclasses.replace(selection, limit=min(count, selection.limit or count))
    positions = [fewer.positions(shard) for shard in range(len(fewer.shard_lengths))]
    images, _, _ = SplitReader(files, split, 0).take(np.concatenate(positions))
    return images
