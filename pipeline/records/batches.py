"""Batches of images as tf.train.Example records in TFRecord files, written and read.

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
from PIL import Image, UnidentifiedImageError

from lpe.pipeline.records import example_proto, tfrecord
from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.records.plain_layout import plain_layout, varints
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, one_line
from lpe.transforms.image_shape import ImageShape

MOST_PIXELS = 1 << 26
"""Pixels that an encoded image may have; a small file can claim any number."""
MOST_IMAGE_BYTES = 3 * MOST_PIXELS
"""Bytes that an image may have, decoded."""
_BESIDE_IMAGE = 16 << 20  # bytes of a record that are not its image
_BATCH_BYTES = 64 << 20
_FORMATS = ("PNG", "JPEG", "BMP", "GIF")  # those of TFDS; others would be a larger surface for attacks
_MOST_SCANS = 200  # of a progressive JPEG, each of which goes over the whole image; encoders make about ten


@dataclasses.dataclass(frozen=True)
class RecordFormat:
    """The layout of an example in a record.

    Attributes:
      image_shape: (H, W, C) of every image, or None where shapes differ (then `encoding` is "png").
      encoding: `raw`: the image's bytes row-major; `png`: an encoded image (PNG, JPEG, BMP or GIF of at most
        `MOST_PIXELS`; PNG is written).
      channels: channels of an encoded image, 1 or 3.
      image_key: name of the image's feature.
      label_key: name of the label's feature, an int64.
      id_key: name of the id's feature, UTF-8 text; None where records have no id: they are then numbered,
        `PREFIX-NNNNNNN`.

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


def encode(batch: ImageBatch, fmt: RecordFormat) -> bytes:
    """The batch as framed records; see `encoded_runs`."""
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
        if math.prod(batch.images.shape[1:3]) > MOST_PIXELS:
            raise DataError(
                f"an image of {batch.images.shape[1]}x{batch.images.shape[2]} pixels; at most {MOST_PIXELS} can be "
                "stored: make it smaller"
            )
        for image_id, label, image in zip(ids, labels, batch.images, strict=True):
            yield _encode_run([image_id], [label], np.frombuffer(_to_png(image), np.uint8)[None], fmt)
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


def _to_png(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    # Cipher noise does not compress: the lowest effort loses nothing.
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "png", compress_level=1)
    return out.getvalue()


# ---------------------------------------------------------------- reading


def decode(
    file: BinaryIO, fmt: RecordFormat, *, where: str, on_bad_record: OnBadRecord, batch_size: int = 1024
) -> Iterator[ImageBatch]:
    """Reads all examples of a TFRecord file, in order; memory is bounded by a few MB, one batch and one record.

    Args:
      file: the open file, at its start; a gzip-compressed one is recognised.
      fmt: how an example is laid out.
      where: the file's name, for errors; its last component is the prefix of ids where records have none.
      on_bad_record: called for a record whose data is damaged or is not such an example.
      batch_size: the most images in a batch; of large ones fewer, so that it has at most 64 MiB or one image.

    Yields:
      Batches of one image shape: images uint8 [N, H, W, C], labels int64 [N].

    Raises:
      DataError: the framing is damaged, so that no later record can be found.
    """
    pending: list[tuple[int, str | None, np.ndarray, int]] = []
    index = 0
    for rows, sound in tfrecord.frames(file, where, fmt.most_bytes):
        fields = _uniform_fields(rows, fmt) if sound.all() else None
        if fields is not None:
            if pending:
                yield _to_batch(pending, where)
                pending = []
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
                room = min(batch_size, max(1, _BATCH_BYTES // parsed[1].nbytes))
                if pending and (len(pending) >= room or pending[0][2].shape != parsed[1].shape):
                    yield _to_batch(pending, where)
                    pending = []
                pending.append((index, *parsed))
            index += 1
    if pending:
        yield _to_batch(pending, where)


def numbered(where: str, first: int, count: int) -> list[str]:
    """The ids of `count` records of a file that have none, from the number `first` on."""
    prefix = where.rsplit("/", 1)[-1]
    return [f"{prefix}-{i:07d}" for i in range(first, first + count)]


def _to_batch(pending: list[tuple[int, str | None, np.ndarray, int]], where: str) -> ImageBatch:
    ids = [numbered(where, index, 1)[0] if given is None else given for index, given, _, _ in pending]
    images = np.stack([image for _, _, image, _ in pending])
    return ImageBatch(ids, images, np.array([label for *_, label in pending], np.int64))


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
    return image_id, _from_encoded(payload, fmt), labels[0]


def _single_bytes(features: example_proto.Features, key: str) -> bytes:
    values = features.get(key)
    if not (isinstance(values, list) and len(values) == 1 and isinstance(values[0], bytes)):
        raise DataError(f"it has no single bytes value {key!r}")
    return values[0]


def _from_encoded(payload: bytes, fmt: RecordFormat) -> np.ndarray:
    """An encoded image's pixels, uint8 [H, W, C]; its size is known, and checked, before anything is decoded."""
    try:
        with Image.open(io.BytesIO(payload), formats=_FORMATS) as image:
            _check_encoded(image, payload, fmt)
            pixels = np.asarray(image.convert("L" if fmt.channels == 1 else "RGB"))
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"its image has more than {MOST_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise DataError("its image is no PNG, JPEG, BMP or GIF") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged images
        raise DataError(f"its image cannot be decoded ({one_line(error)})") from error
    return pixels.reshape(*pixels.shape[:2], fmt.channels)


def _check_encoded(image: Image.Image, payload: bytes, fmt: RecordFormat) -> None:
    shape = (image.height, image.width, fmt.channels)
    if fmt.image_shape is not None and shape != fmt.image_shape:
        raise DataError(f"its image has shape {shape}, not {fmt.image_shape}")
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"its image has {image.width}x{image.height} pixels, more than {MOST_PIXELS}")
    if image.mode.startswith(("I", "F")):
        raise DataError(f"its image has more than 8 bits a value (mode {image.mode})")
    if payload.count(b"\xff\xda") > _MOST_SCANS and image.format == "JPEG":
        raise DataError(f"its image is a JPEG of more than {_MOST_SCANS} scans")
