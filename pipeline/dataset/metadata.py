"""The metadata files of a dataset, read and written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset.layout import (
    ENCRYPTION_FILE,
    FEATURES_FILE,
    FILE_TEMPLATE,
    INFO_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
)
from lpe.pipeline.records import RecordFormat
from lpe.transforms.errors import DataError

FORMAT_VERSION = 1
"""Of manifest.json and encryption.json; a change that old readers cannot take raises it."""


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One shard as it was written.

    Attributes:
      file: its file name.
      examples: how many it holds.
      bytes: its size.
      crc32c: CRC32C of the file, 8 hex digits.
    """

    file: str
    examples: int
    bytes: int
    crc32c: str


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split.

    Attributes:
      shard_lengths: examples of each shard, in shard order.
      num_bytes: size of all shards.
    """

    shard_lengths: tuple[int, ...]
    num_bytes: int

    @property
    def examples(self) -> int:
        """Examples of all shards."""
        return sum(self.shard_lengths)

    def summary(self) -> dict[str, int]:
        """What jobs say of a split in `--json`."""
        return {"examples": self.examples, "shards": len(self.shard_lengths), "bytes": self.num_bytes}


def read_features(
    features: Mapping[str, Any], info: Mapping[str, Any], directory: str
) -> tuple[RecordFormat, str]:
    """The record format that TFDS's metadata describe, and the name of the label feature.

    Args:
      features: content of features.json.
      info: content of dataset_info.json.
      directory: the version directory, for errors.

    Raises:
      DataError: there are not one image and one label to be chosen, or the image is no uint8 of fixed shape.
      KeyError, TypeError, ValueError: the metadata are damaged.
    """
    fields: Mapping[str, Any] = features["featuresDict"]["features"]
    labels = [name for name, field in fields.items() if "classLabel" in field]
    images = [name for name, field in fields.items() if "image" in field or _is_image(field.get("tensor"))]
    supervised = [
        part.get("featureKey") for part in info.get("supervisedKeys", {}).get("tuple", {}).get("items", [])
    ]
    label = _choose(labels, ["label", *supervised])
    image = _choose(images, ["image", *supervised])
    if label is None or image is None:
        raise DataError(f"{directory}: needs one image and one ClassLabel feature, has {', '.join(fields)}")
    id_key = "id" if "text" in fields.get("id", {}) else None
    if "image" in fields[image]:
        shape = [int(size) for size in fields[image]["image"]["shape"]["dimensions"]]
        fixed = None if min(shape) < 1 else (shape[0], shape[1], shape[2])
        return RecordFormat(fixed, "png", shape[2], image, label, id_key), label
    tensor = fields[image]["tensor"]
    shape = [int(size) for size in tensor["shape"]["dimensions"]]
    if tensor.get("encoding") != "bytes" or min(shape) < 1:
        raise DataError(f"{directory}: feature {image!r} is not a tensor of fixed shape, stored as bytes")
    return RecordFormat((shape[0], shape[1], shape[2]), "raw", shape[2], image, label, id_key), label


def _is_image(tensor: Mapping[str, Any] | None) -> bool:
    if tensor is None or tensor["dtype"] != "uint8":
        return False
    return len(tensor["shape"].get("dimensions", [])) == 3


def _choose(candidates: list[str], preferred: Iterable[str | None]) -> str | None:
    for name in preferred:
        if name in candidates:
            return name
    return candidates[0] if len(candidates) == 1 else None


def read_class_names(directory: str, features: Mapping[str, Any], label: str) -> tuple[str, ...]:
    """The class names of the label feature `label`; numbers where no file names them.

    Raises:
      DataError: there are more or fewer names than classes.
    """
    count = int(features["featuresDict"]["features"][label]["classLabel"]["numClasses"])
    path = storage.join(directory, f"{label}.labels.txt")
    if not storage.exists(path):
        return tuple(str(i) for i in range(count))
    names = tuple(storage.read_bytes(path).decode().splitlines())
    if len(names) != count:
        raise DataError(f"{path}: {len(names)} class names for {count} classes; write the dataset again")
    return names


def read_json(directory: str, name: str) -> dict[str, Any]:
    """The JSON object in a metadata file. Raises DataError if it is missing or damaged."""
    path = storage.join(directory, name)
    try:
        value = json.loads(storage.read_bytes(path))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; restore it from a copy or write the dataset again") from None
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); restore it or write the dataset again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: damaged (not a JSON object); restore it or write the dataset again")
    return value


def write_metadata(
    directory: str,
    *,
    name: str,
    version: str,
    class_names: tuple[str, ...],
    fmt: RecordFormat,
    shards: Mapping[str, list[ShardInfo]],
    manifest: Mapping[str, Any],
    encrypted: bool,
) -> None:
    """Writes all metadata of a dataset whose shards are complete; `dataset_info.json` comes last.

    Args:
      directory: where the shards are.
      name: of the dataset.
      version: of the dataset, e.g. `1.0.0`.
      class_names: class i is called class_names[i].
      fmt: how the records are laid out.
      shards: of each split, in the order of splits and shards.
      manifest: what else manifest.json or encryption.json says; no secret.
      encrypted: whether the images are ciphertext.

    Raises:
      DataError: a class name holds a line break.
    """
    if any("\n" in class_name for class_name in class_names):
        raise DataError("a class name holds a line break; rename that class")
    record = {
        "format_version": FORMAT_VERSION,
        **manifest,
        "shards": {split: [dataclasses.asdict(shard) for shard in part] for split, part in shards.items()},
    }
    _write_json(directory, ENCRYPTION_FILE if encrypted else MANIFEST_FILE, record)
    storage.write_atomic(
        storage.join(directory, LABELS_FILE), "".join(f"{name}\n" for name in class_names).encode()
    )
    _write_json(directory, FEATURES_FILE, _features_json(fmt, len(class_names)))
    info = {
        "description": "Images encrypted by lpe." if encrypted else "Images ingested by lpe.",
        "fileFormat": "tfrecord",
        "name": name,
        "splits": [
            {
                "filepathTemplate": FILE_TEMPLATE,
                "name": split,
                "numBytes": str(sum(shard.bytes for shard in part)),
                "shardLengths": [str(shard.examples) for shard in part],
            }
            for split, part in shards.items()
        ],
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": version,
    }
    _write_json(directory, INFO_FILE, info)


def _features_json(fmt: RecordFormat, classes: int) -> dict[str, Any]:
    prefix = "tensorflow_datasets.core.features"
    shape = fmt.image_shape or (-1, -1, fmt.channels)
    dimensions = {"dimensions": [str(size) for size in shape]}
    if fmt.encoding == "raw":
        kind = "tensor_feature.Tensor"
        image = {"tensor": {"dtype": "uint8", "encoding": "bytes", "shape": dimensions}}
    else:
        kind = "image_feature.Image"
        image = {"image": {"dtype": "uint8", "encodingFormat": "png", "shape": dimensions}}
    return {
        "pythonClassName": f"{prefix}.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "id": {"pythonClassName": f"{prefix}.text_feature.Text", "text": {}},
                "image": {"pythonClassName": f"{prefix}.{kind}", **image},
                "label": {
                    "pythonClassName": f"{prefix}.class_label_feature.ClassLabel",
                    "classLabel": {"numClasses": str(classes)},
                },
            }
        },
    }


def _write_json(directory: str, name: str, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, indent=2, sort_keys=False, ensure_ascii=False) + "\n"
    storage.write_atomic(storage.join(directory, name), text.encode())
