"""The columns of a Parquet file that hold images and labels, and its class names."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence

import pyarrow as pa

from lpe.pipeline.records.parquet_schema import HUGGINGFACE, IMAGE_SHAPE
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.limits import MOST_CLASSES
from lpe.pipeline.storage.documents import Fields, is_plain_text, parse_document
from lpe.transforms.errors import DataError, one_line
from lpe.transforms.image_shape import ImageShape

REMEDY = "get the file again, or leave it out"
"""What to do about a file that is damaged."""
_IMAGES = ("image", "img")
_LABELS = ("label", "fine_label", "labels")


@dataclasses.dataclass(frozen=True)
class Columns:
    """What is read of a file.

    Attributes:
      image: the column of images.
      label: the column of labels.
      within: whether an image's bytes are the field `bytes` of a struct.
      raw_shape: (H, W, C) of images that are raw bytes; None for encoded ones.
      class_names: class i is called class_names[i]; None where the file does not say.
    """

    image: str
    label: str
    within: bool
    raw_shape: ImageShape | None
    class_names: tuple[str, ...] | None


def choose(schema: pa.Schema, options: ReadOptions, where: str) -> Columns:
    """The columns to be read of a file.

    Args:
      schema: the file's.
      options: they may name the columns.
      where: the file, for messages.

    Raises:
      DataError: there are not one image and one label to be chosen, or the metadata are damaged.
    """
    metadata = schema.metadata or {}
    features = _features(metadata[HUGGINGFACE], where) if HUGGINGFACE in metadata else {}
    shape = _shape(metadata[IMAGE_SHAPE], where) if IMAGE_SHAPE in metadata else None

    def is_image(field: pa.Field) -> bool:
        if pa.types.is_fixed_size_binary(field.type):
            return shape is not None and field.type.byte_width == math.prod(shape)
        return _is_binary(field.type) or _has_bytes(field.type)

    image = _chosen(
        schema, options.image_key, _IMAGES, is_image, _declared(features, "Image"), where, "image"
    )
    label = _chosen(
        schema,
        options.label_key,
        _LABELS,
        lambda field: pa.types.is_integer(field.type),
        _declared(features, "ClassLabel"),
        where,
        "label",
    )
    raw = pa.types.is_fixed_size_binary(schema.field(image).type)
    names = _class_names(features[label], where) if label in _declared(features, "ClassLabel") else None
    return Columns(image, label, _has_bytes(schema.field(image).type), shape if raw else None, names)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _has_bytes(kind: pa.DataType) -> bool:
    """Whether a type is that of Hugging Face's images: a struct with the bytes of a file."""
    return bool(pa.types.is_struct(kind)) and any(
        each.name == "bytes" and _is_binary(each.type) for each in kind
    )


def _chosen(
    schema: pa.Schema,
    key: str | None,
    preferred: Sequence[str],
    fits: Callable[[pa.Field], bool],
    declared: Sequence[str],
    where: str,
    what: str,
) -> str:
    """The name of a column: the one asked for, or one of the usual names, or the only one."""
    there: list[str] = [field.name for field in schema if fits(field) and schema.names.count(field.name) == 1]
    if key is not None:
        if key not in there:
            raise DataError(f"{where}: no column {key!a} that can be the {what}; {_listed(schema)}")
        return key
    candidates = [name for name in there if name in declared] or there
    for name in preferred:
        if name in candidates:
            return name
    if len(candidates) != 1:
        asked = (
            "name one with --" + what + "-key"
            if candidates
            else "an image is PNG or JPEG bytes, a label a number"
        )
        raise DataError(f"{where}: {len(candidates)} columns can be the {what}, {_listed(schema)}; {asked}")
    return candidates[0]


def _listed(schema: pa.Schema) -> str:
    return "there is " + one_line(", ".join(f"{field.name} ({field.type})" for field in schema), 200)


def _features(content: bytes, where: str) -> dict[str, Fields]:
    document = parse_document(content, f"{where}: its metadata {HUGGINGFACE.decode()!r}", REMEDY)
    if not document.has("info") or not document.object("info").has("features"):
        return {}
    features = document.object("info").object("features")
    return {
        name: features.object(name) for name in features.names() if isinstance(features.raw()[name], dict)
    }


def _declared(features: dict[str, Fields], kind: str) -> list[str]:
    return [name for name, feature in features.items() if feature.raw().get("_type") == kind]


def _class_names(feature: Fields, where: str) -> tuple[str, ...]:
    names = feature.texts("names")
    if len(names) > MOST_CLASSES:
        raise DataError(f"{where}: {len(names)} classes, more than {MOST_CLASSES}; {REMEDY}")
    if not names or not all(map(is_plain_text, names)):
        raise DataError(f"{where}: its class names are none, or hold control characters; rename the classes")
    return names


def _shape(content: bytes, where: str) -> ImageShape:
    try:
        shape = json.loads(content)
    except (ValueError, RecursionError):
        shape = None
    if isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape):
        height, width, channels = shape
        if channels in (1, 3):
            return height, width, channels
    raise DataError(
        f"{where}: its metadata {IMAGE_SHAPE.decode()!r} are no shape of 1 or 3 channels; {REMEDY}"
    )
