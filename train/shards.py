"""Reading shards with TensorFlow: whole splits, streams of records, batches of decoded images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import storage
from pipeline.dataset import Dataset
from train import backend
from transforms.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

_READ_BATCH = 1024
_OPEN_SHARDS = 8
_RESTORE = "restore the file from a copy or write the dataset again (lpe verify lists all damage)"


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


def is_held_out(position: Any, fraction: float) -> Any:
    """Whether the example at `position` (int64 array or tensor) belongs to the held-out `fraction`.

    Golden-ratio steps: spread as evenly as every k-th, but in step with no period of the data, so that
    labels that come in turn (0, 1, 2, …) do not all fall on one side.
    """
    mask = 0xFFFFFFFF
    return ((position & mask) * 2654435769) & mask < int(fraction * 2**32)


def read_split(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """A split in memory: images uint8 [N, H, W, C], labels int64 [N].

    Raises:
      DataError: unknown split, or a shard that is missing, damaged or incomplete, by name.
    """
    paths, info = dataset.shard_paths(split), dataset.splits[split]
    images = np.empty((info.examples, *image_shape(dataset)), np.uint8)
    labels = np.empty(info.examples, np.int64)
    at = 0
    for path, expected in zip(paths, info.shard_lengths, strict=True):
        for part_images, part_labels in _read_shard(dataset, path, expected):
            part = slice(at, at + len(part_labels))
            images[part], labels[part] = part_images, part_labels
            at = part.stop
    return images, labels


def check_shards(dataset: Dataset, *splits: str) -> None:
    """Reads `splits` shard by shard. Raises DataError naming the first bad one, as `read_split` does."""
    for split in splits:
        lengths = dataset.splits[split].shard_lengths
        for path, expected in zip(dataset.shard_paths(split), lengths, strict=True):
            for _ in _read_shard(dataset, path, expected):
                pass


def _read_shard(dataset: Dataset, path: str, expected: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of a shard that must hold `expected` examples."""
    tf = backend.tensorflow()
    left = expected
    try:
        for images, labels in decode(
            dataset, tf.data.TFRecordDataset(path).batch(_READ_BATCH)
        ).as_numpy_iterator():
            left -= len(labels)
            if left < 0:
                break
            yield images, labels
    except tf.errors.NotFoundError:
        raise DataError(f"{path}: missing; {_RESTORE}") from None
    except tf.errors.OpError as error:
        reason = error.message.rpartition("}} ")[2].splitlines()[0]  # without TensorFlow's graph node
        raise DataError(f"{path}: damaged ({reason}); {_RESTORE}") from error
    if left:
        raise DataError(f"{path}: holds {'more' if left < 0 else 'fewer'} than {expected} images; {_RESTORE}")


def decode(dataset: Dataset, records: tf.data.Dataset) -> tf.data.Dataset:
    """Batches of serialised examples (string [B]) as images and labels."""
    tf = backend.tensorflow()
    shape, fmt, classes = image_shape(dataset), dataset.format, len(dataset.class_names)

    def to_arrays(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_example(
            batch,
            {
                fmt.image_key: tf.io.FixedLenFeature([], tf.string),
                fmt.label_key: tf.io.FixedLenFeature([], tf.int64),
            },
        )
        payload, labels = features[fmt.image_key], features[fmt.label_key]
        if fmt.encoding == "raw":
            images = tf.io.decode_raw(payload, tf.uint8)
        else:
            images = tf.map_fn(lambda data: _decode_image(data, shape), payload, fn_output_signature=tf.uint8)
        outside = "a label beyond the classes of the dataset"
        with tf.control_dependencies(
            [
                tf.debugging.assert_less(labels, tf.constant(classes, tf.int64), outside),
                tf.debugging.assert_non_negative(labels, outside),
            ]
        ):
            return tf.reshape(images, (tf.shape(labels)[0], *shape)), labels

    return records.map(to_arrays, num_parallel_calls=tf.data.AUTOTUNE)


def _decode_image(data: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    tf = backend.tensorflow()
    return tf.ensure_shape(tf.io.decode_image(data, channels=shape[2], expand_animations=False), shape)


def records(
    dataset: Dataset,
    split: str,
    fraction: float,
    *,
    held_out: bool,
    order: np.ndarray | None = None,
) -> tf.data.Dataset:
    """The serialised examples of a split whose `is_held_out` is `held_out`.

    They are interleaved from the shards in `order` (all of them as numbered, by default); the same
    arguments give the same order. Raises DataError for an unknown split.
    """
    tf = backend.tensorflow()
    paths = np.array(dataset.shard_paths(split))
    firsts = np.cumsum([0, *dataset.splits[split].shard_lengths[:-1]], dtype=np.int64)
    order = np.arange(len(paths)) if order is None else order

    def wanted(position: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.equal(is_held_out(position, fraction), held_out)

    def read(path: tf.Tensor, first: tf.Tensor) -> tf.data.Dataset:
        examples = tf.data.TFRecordDataset(path, buffer_size=1 << 22)
        if fraction == 0:
            return examples
        return examples.enumerate(first).filter(wanted).map(lambda _, example: example)

    shards = tf.data.Dataset.from_tensor_slices((paths[order], firsts[order]))
    return shards.interleave(
        read,
        cycle_length=_OPEN_SHARDS,
        block_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
