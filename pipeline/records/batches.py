"""Batches of images as a shard's file, written and read: here tf.train.Example records in TFRecord files.

The records of a shard of fixed-shape images mostly have one length and differ only in their values, so a run of
them is one 2-D array whose columns are the fields. What does not fit that pattern (encoded images, other features,
mixed lengths) is parsed record by record through protobuf, with the same results.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
from collections.abc import Iterator
from typing import BinaryIO, Literal, cast

import numpy as np

from lpe.pipeline.records import example_proto, tfrecord
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.records.encoded_images import MOST_PIXELS, from_encoded, to_png
from lpe.pipeline.records.pending import Pending, numbered
from lpe.pipeline.records.plain_layout import plain_layout, varints
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

MOST_IMAGE_BYTES = 3 * MOST_PIXELS
"""Bytes that an image may have, decoded."""
_BESIDE_IMAGE = 16 << 20  # bytes of a record that are not its image

FileFormat = Literal["tfrecord", "parquet"]
"""The kind of a dataset's files."""


@dataclasses.dataclass(frozen=True)
class RecordFormat:
    """The layout of an example in a record, and the kind of file that records are in.

    Attributes:
      image_shape: (H, W, C) of every image, or None where shapes differ (then `encoding` is "png").
      encoding: `raw`: the image's bytes row-major; `png`: an encoded image (PNG, JPEG, BMP or GIF of at most
        `MOST_PIXELS`; PNG is written).
      channels: channels of an encoded image, 1 or 3.
      image_key: name of the image's feature.
      label_key: name of the label's feature, an int64.
      id_key: name of the id's feature, UTF-8 text; None where records have no id: they are then numbered,
        `PREFIX-NNNNNNN`.
      file_format: the kind of file.

    Raises:
      ValueError: `raw` without an image shape.
      DataError: images that are too large, or encoded ones of other channels.
    """

    image_shape: ImageShape | None
    encoding: Literal["raw", "png"] = "raw"
    channels: int = 3
    image_key: str = "image"
    label_key: str = "label"
    id_key: str | None = "id"
    file_format: FileFormat = "tfrecord"

    def __post_init__(self) -> None:
        if self.encoding == "raw" and self.image_shape is None:
            raise ValueError("raw images need a fixed image_shape")
        if self.image_shape is not None and not 1 <= math.prod(self.image_shape) <= MOST_IMAGE_BYTES:
            raise DataError(
                f"images of shape {self.image_shape}: one has at most {MOST_IMAGE_BYTES} bytes; make them smaller"
            )
        if self.encoding == "png" and self.channels not in (1, 3):
            raise DataError(f"encoded images of {self.channels} channels; only 1 (grey) and 3 (RGB) are read")

    @property
    def most_bytes(self) -> int:
        """Bytes that a record may have."""
        fixed = self.encoding == "raw" and self.image_shape is not None
        return _BESIDE_IMAGE + (math.prod(self.image_shape or ()) if fixed else MOST_IMAGE_BYTES)


# ---------------------------------------------------------------- writing


def encode(batch: ImageBatch, fmt: RecordFormat, class_names: tuple[str, ...] = ()) -> bytes:
    """The batch as a file.

    Args:
      batch: images uint8 [N, H, W, C]; of `fmt`'s shape where that is fixed.
      fmt: how an example is laid out.
      class_names: class i is called class_names[i]; a Parquet file says so.
    """
    if fmt.file_format == "parquet":
        from lpe.pipeline.records import parquet_shard  # noqa: PLC0415  (pyarrow is slow to import)

        file = io.BytesIO()
        writer = parquet_shard.Writer(file, fmt, class_names)
        writer.write(batch)
        writer.close()
        return file.getvalue()
    return b"".join(rows.data for rows in encoded_runs(batch, fmt))


def encoded_runs(batch: ImageBatch, fmt: RecordFormat) -> Iterator[np.ndarray]:
    """The batch as framed records, ready to be appended to a TFRecord file.

    The bytes equal those of TensorFlow's writer for the same Examples, features in sorted order.

    Args:
      batch: images uint8 [N, H, W, C]; of `fmt`'s shape where that is fixed.
      fmt: how an example is laid out.

    Yields:
      Runs of records of one length, uint8 [N, L + 16], C-contiguous.

    Raises:
      DataError: images of more than `MOST_PIXELS`, which could not be read again.
    """
    ids = [image_id.encode() for image_id in batch.ids]
    labels = [_varint(int(label)) for label in batch.labels]
    if fmt.encoding == "png":
        for image_id, label, image in zip(ids, labels, batch.images, strict=True):
            yield _encode_run([image_id], [label], np.frombuffer(to_png(image), np.uint8)[None], fmt)
        return
    flat = batch.images.reshape(len(batch), math.prod(batch.images.shape[1:]))
    lengths = [(len(i), len(label)) for i, label in zip(ids, labels, strict=True)]
    starts = [0] + [i for i in range(1, len(ids)) if lengths[i] != lengths[i - 1]] + [len(ids)]
    for a, b in itertools.pairwise(starts):
        if b > a:
            yield _encode_run(ids[a:b], labels[a:b], flat[a:b], fmt)


def _encode_run(ids: list[bytes], labels: list[bytes], payload: np.ndarray, fmt: RecordFormat) -> np.ndarray:
    """Frames records that all have ids, labels and payloads (uint8 [N, P]) of one length."""
    count, size = payload.shape
    fields: dict[str, tuple[bytes, np.ndarray]] = {
        fmt.image_key: (_bytes_prefix(size), payload),
        fmt.label_key: (_int64_prefix(len(labels[0])), _columns(labels)),
    }
    if fmt.id_key is not None:
        fields[fmt.id_key] = (_bytes_prefix(len(ids[0])), _columns(ids))
    pieces: list[tuple[bytes, np.ndarray]] = []
    for key in sorted(fields):
        prefix, values = fields[key]
        feature_size = len(prefix) + values.shape[1]
        name = key.encode()
        entry = b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(feature_size) + prefix
        pieces.append((b"\x0a" + _varint(len(entry) + values.shape[1]) + entry, values))
    features_size = sum(len(prefix) + values.shape[1] for prefix, values in pieces)
    start = b"\x0a" + _varint(features_size)
    length = len(start) + features_size

    rows = np.empty((count, tfrecord.HEADER + length + tfrecord.FOOTER), np.uint8)
    column = 0
    for constant, values in [(tfrecord.header(length) + start, payload[:, :0]), *pieces]:
        rows[:, column : column + len(constant)] = np.frombuffer(constant, np.uint8)
        column += len(constant)
        rows[:, column : column + values.shape[1]] = values
        column += values.shape[1]
    rows[:, -tfrecord.FOOTER :] = tfrecord.checksums(rows).astype("<u4")[:, None].view(np.uint8)
    return rows


def _bytes_prefix(size: int) -> bytes:
    value = b"\x0a" + _varint(size)
    return b"\x0a" + _varint(len(value) + size) + value


def _int64_prefix(size: int) -> bytes:
    value = b"\x0a" + _varint(size)
    return b"\x1a" + _varint(len(value) + size) + value


def _columns(values: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)


@functools.lru_cache(1 << 12)
def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# ---------------------------------------------------------------- reading


def decode(
    file: BinaryIO, fmt: RecordFormat, *, where: str, on_bad_record: OnBadRecord, batch_size: int = 1024
) -> Iterator[ImageBatch]:
    """Reads all examples of a shard's file, in order; memory is bounded by a few MB, one batch and one record.

    All that is decoded was read from the file in order, from its start to its end, so that whoever sums what is read
    in order knows what was decoded. Of Parquet, what its end says is looked up first.

    Args:
      file: the open file, at its start, of Parquet one that seeks; a gzip-compressed TFRecord file is recognised.
      fmt: how an example is laid out.
      where: the file's name, for errors; its last component is the prefix of ids where records have none.
      on_bad_record: called for a record whose data is damaged or is not such an example.
      batch_size: the most images in a batch; of large ones fewer, so that it has at most 64 MiB or one image.

    Yields:
      Batches of one image shape: images uint8 [N, H, W, C], labels int64 [N].

    Raises:
      DataError: the file is damaged, so that no later record can be found.
    """
    if fmt.file_format == "parquet":
        from lpe.pipeline.records import parquet_shard  # noqa: PLC0415  (pyarrow is slow to import)

        yield from parquet_shard.decode(
            file, fmt, where=where, on_bad_record=on_bad_record, batch_size=batch_size
        )
        return
    pending = Pending(where, batch_size)
    index = 0
    for rows, sound in tfrecord.frames(file, where, fmt.most_bytes):
        fields = _uniform_fields(rows, fmt) if sound.all() else None
        if fields is not None:
            yield from pending.rest()
            for at in range(0, len(rows), batch_size):
                part = slice(at, at + batch_size)
                ids = fields.ids[part] if fields.ids else numbered(where, index + at, len(rows[part]))
                yield ImageBatch(ids, fields.images[part], fields.labels[part])
            index += len(rows)
            continue
        for row, intact in zip(rows, sound, strict=True):
            try:
                if not intact:
                    raise DataError("its checksum does not match")
                parsed = _parse_example(row[tfrecord.HEADER : -tfrecord.FOOTER].tobytes(), fmt)
            except DataError as error:
                on_bad_record(BadRecord(f"{where}: record {index}", str(error)))
            else:
                yield from pending.add(index, *parsed)
            index += 1
    yield from pending.rest()


# ---------------------------------------------------------------- one run of alike records


@dataclasses.dataclass(frozen=True)
class _Fields:
    """The fields of N records: ids, images uint8 [N, H, W, C], labels int64 [N]."""

    ids: list[str] | None
    images: np.ndarray
    labels: np.ndarray


def _uniform_fields(rows: np.ndarray, fmt: RecordFormat) -> _Fields | None:
    """The fields of records (uint8 [N, L + 16]) as columns, or None where they are not all alike."""
    if fmt.encoding != "raw" or fmt.image_shape is None:
        return None
    data = rows[:, tfrecord.HEADER : -tfrecord.FOOTER]
    layout = plain_layout(data[0].tobytes(), fmt)
    if layout is None or not all((data[:, a:b] == data[0, a:b]).all() for a, b in layout.constant()):
        return None
    labels = varints(data[:, layout.label.start : layout.label.stop])
    if labels is None:
        return None
    ids = None
    if layout.id is not None:
        ids = to_text(data[:, layout.id.start : layout.id.stop])
        if ids is None:
            return None
    images = data[:, layout.image.start : layout.image.stop].reshape(len(rows), *fmt.image_shape)
    return _Fields(ids, images, labels)


def to_text(columns: np.ndarray) -> list[str] | None:
    """Rows of ASCII (uint8 [N, S]) as strings; None for what NumPy's fixed strings cannot carry."""
    if not columns.size or (columns == 0).any() or (columns >= 0x80).any():
        return None
    fixed = np.ascontiguousarray(columns).view(f"S{columns.shape[1]}")[:, 0]
    return cast(list[str], fixed.astype(str).tolist())


# ---------------------------------------------------------------- one record


def _parse_example(data: bytes, fmt: RecordFormat) -> tuple[str | None, np.ndarray, int]:
    """One record's id, image (uint8 [H, W, C]) and label. Raises DataError with the reason alone."""
    features = example_proto.parse(data)
    if features is None:
        raise DataError("it is not a tf.train.Example")
    labels = features.get(fmt.label_key)
    if not (isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], int)):
        raise DataError(f"it has no single integer {fmt.label_key!r}")
    payload = _single_bytes(features, fmt.image_key)
    image_id = None
    if fmt.id_key is not None:
        try:
            image_id = _single_bytes(features, fmt.id_key).decode()
        except UnicodeDecodeError:
            raise DataError(f"its {fmt.id_key!r} is not UTF-8 text") from None
    if fmt.encoding == "raw":
        shape = fmt.image_shape
        if shape is None or len(payload) != math.prod(shape):
            raise DataError(f"its image has {len(payload)} bytes, not those of shape {shape}")
        return image_id, np.frombuffer(payload, np.uint8).reshape(shape), labels[0]
    return image_id, from_encoded(payload, fmt.channels, fmt.image_shape), labels[0]


def _single_bytes(features: example_proto.Features, key: str) -> bytes:
    values = features.get(key)
    if not (isinstance(values, list) and len(values) == 1 and isinstance(values[0], bytes)):
        raise DataError(f"it has no single bytes value {key!r}")
    return values[0]
