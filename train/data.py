"""Shards of a dataset as batches for Keras: images uint8 [B, H, W, C], labels int64 [B]."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dataset import Dataset
from train import backend
from train.shards import decode, image_shape, is_held_out, read_split, records
from transforms.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

CACHE_BYTES = 1 << 30  # a training split up to this size is held in memory and shuffled as a whole
_SHUFFLE_BYTES = 1 << 28
_READ_AHEAD = 4  # batches

Batches = Iterator[tuple[Any, Any]]


@dataclasses.dataclass
class EpochClock:
    """The epoch, from 0, whose order of images the training input takes next; set before each epoch."""

    epoch: int = 0


@dataclasses.dataclass(frozen=True)
class TrainingInput:
    """What training needs of a dataset.

    Attributes:
      train: batches, all of one size, in an order that follows from the seed and `clock.epoch` alone.
      validation: batches in a fixed order.
      clock: tells `train` the epoch.
      steps, batch_size: batches of an epoch, and images in each.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    clock: EpochClock
    steps: int
    batch_size: int


def training_input(
    dataset: Dataset,
    *,
    batch_size: int,
    seed: int,
    validation_fraction: float,
    cache_bytes: int = CACHE_BYTES,
) -> TrainingInput:
    """The splits `train` and `validation`; without the latter, `validation_fraction` of `train` is held out.

    Which images are held out depends on their positions alone. What does not fill a last batch is
    left out of an epoch: other images each time.

    Args:
      dataset: where `batch_size` exceeds its training images, batches have as many as there are.
      cache_bytes: larger training splits are streamed, and shuffled by shards and within a buffer.

    Raises:
      DataError: no split `train`, too few images, or a damaged shard.
    """
    tf = backend.tensorflow()
    shape = image_shape(dataset)
    if "train" not in dataset.splits:
        raise DataError(f"{dataset.directory}: no split 'train'; it has {', '.join(dataset.splits)}")
    total = dataset.splits["train"].examples
    has_validation = "validation" in dataset.splits and dataset.splits["validation"].examples > 0
    fraction = 0.0 if has_validation else validation_fraction
    examples = total - _count_held_out(total, fraction)
    if examples < 1 or (examples == total and not has_validation):
        raise DataError(f"{dataset.directory}: {total} training images are too few to train and validate")
    batch_size = min(batch_size, examples)
    clock = EpochClock()

    if total * math.prod(shape) <= cache_bytes:
        images, labels = read_split(dataset, "train")
        held_out = is_held_out(np.arange(total), fraction)
        batches = _from_arrays(images, labels, np.flatnonzero(~held_out), batch_size, seed, clock)
        held_out_arrays = (images[held_out], labels[held_out])
        validation = tf.data.Dataset.from_tensor_slices(held_out_arrays).batch(batch_size)
    else:
        batches = _from_shards(dataset, fraction, batch_size, seed, clock)
        stream = records(dataset, "train", fraction, held_out=True)
        validation = _batches(dataset, stream, total - examples, batch_size)
    if has_validation:
        validation = evaluation_input(dataset, "validation", batch_size)
    signature = (tf.TensorSpec((batch_size, *shape), tf.uint8), tf.TensorSpec((batch_size,), tf.int64))
    train = tf.data.Dataset.from_generator(batches, output_signature=signature)
    steps = examples // batch_size
    return TrainingInput(
        train=train.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(_READ_AHEAD),
        validation=validation.prefetch(_READ_AHEAD),
        clock=clock,
        steps=steps,
        batch_size=batch_size,
    )


def evaluation_input(dataset: Dataset, split: str, batch_size: int) -> tf.data.Dataset:
    """All images of a split, in a fixed order. Raises DataError for an unknown split."""
    stream = records(dataset, split, 0.0, held_out=False)
    return _batches(dataset, stream, dataset.splits[split].examples, batch_size).prefetch(_READ_AHEAD)


def _batches(dataset: Dataset, stream: tf.data.Dataset, count: int, batch_size: int) -> tf.data.Dataset:
    """Decoded batches of the `count` records of `stream`; reading fails where there are not so many."""
    tf = backend.tensorflow()
    counted = stream.apply(tf.data.experimental.assert_cardinality(count))
    return decode(dataset, counted.batch(batch_size))


def _from_arrays(
    images: np.ndarray, labels: np.ndarray, chosen: np.ndarray, batch_size: int, seed: int, clock: EpochClock
) -> Callable[[], Batches]:
    def batches() -> Batches:
        order = np.random.default_rng([seed, clock.epoch]).permutation(chosen)
        for at in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[at : at + batch_size]
            yield images[rows], labels[rows]

    return batches


def _from_shards(
    dataset: Dataset, fraction: float, batch_size: int, seed: int, clock: EpochClock
) -> Callable[[], Batches]:
    shards = len(dataset.shard_paths("train"))
    buffer = max(batch_size, _SHUFFLE_BYTES // math.prod(image_shape(dataset)))

    def batches() -> Batches:
        random = np.random.default_rng([seed, clock.epoch])
        order = random.permutation(shards)
        stream = records(dataset, "train", fraction, held_out=False, order=order)
        stream = stream.shuffle(buffer, seed=int(random.integers(2**31)))
        return iter(decode(dataset, stream.batch(batch_size, drop_remainder=True)))

    return batches


def _count_held_out(total: int, fraction: float) -> int:
    step = 1 << 20  # hundreds of millions of positions are not held in memory
    parts = (np.arange(at, min(at + step, total)) for at in range(0, total, step))
    return sum(int(is_held_out(part, fraction).sum()) for part in parts)
