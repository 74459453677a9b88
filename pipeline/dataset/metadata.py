"""The metadata files of a dataset that TFDS reads, read and written; a version's manifest is written with them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset.card import card
from lpe.pipeline.dataset.checksummed import to_bytes
from lpe.pipeline.dataset.layout import (
    BAD_RECORDS_FILE,
    CARD_FILE,
    ENCRYPTION_FILE,
    FEATURES_FILE,
    IDS_FILE,
    INFO_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    file_template,
)
from lpe.pipeline.dataset.manifest import MOST_PIXEL_BYTES, REMEDY, ShardInfo, Sign, manifest_bytes
from lpe.pipeline.records import FileFormat, RecordFormat
from lpe.pipeline.storage.documents import Fields, is_plain_text
from lpe.transforms.errors import DataError

MOST_CLASSES = 1_000_000
"""The most classes of a dataset."""

_FEATURE = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_PIECE = 1 << 22


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


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of an example, as features.json has them.

    Attributes:
      format: how records are laid out.
      label: the label feature's name.
      classes: how many classes it has.
    """

    format: RecordFormat
    label: str
    classes: int

    @property
    def class_names_file(self) -> str:
        """The file that names the classes, where there is one."""
        return f"{self.label}.labels.txt"


def read_features(document: Fields, info: Fields, file_format: FileFormat = "tfrecord") -> Features:
    """The features that TFDS's metadata describe.

    Args:
      document: content of features.json.
      info: content of dataset_info.json.
      file_format: the kind of the dataset's files.

    Raises:
      DataError: there are not one image and one label to be chosen, the image is no uint8 of fixed shape, or the
        metadata are damaged.
    """
    fields = document.object("featuresDict").mapping("features")
    labels = [name for name, field in fields.items() if field.has("classLabel")]
    images = [name for name, field in fields.items() if field.has("image") or _is_image(field)]
    supervised = _supervised(info)
    label = _choose(labels, ["label", *supervised])
    image = _choose(images, ["image", *supervised])
    if label is None or image is None:
        names = ", ".join(map(ascii, fields))[:200]
        raise DataError(f"{document.where}: needs one image and one ClassLabel feature, has {names}")
    if not _FEATURE.fullmatch(label):  # it is part of a file's name
        document.refuse(f"a label cannot be called {ascii(label)[:60]}")
    classes = fields[label].object("classLabel").decimal("numClasses", least=1, most=MOST_CLASSES)
    id_key = "id" if "id" in fields and fields["id"].has("text") else None
    fmt = dataclasses.replace(_format(fields[image], image, label, id_key), file_format=file_format)
    return Features(fmt, label, classes)


def _format(field: Fields, image: str, label: str, id_key: str | None) -> RecordFormat:
    encoded = field.has("image")
    kind = field.object("image" if encoded else "tensor")
    shape = kind.object("shape").decimals("dimensions", least=-1, most=MOST_PIXEL_BYTES)
    if len(shape) != 3 or shape[2] < 1 or (encoded and shape[2] > 4):
        kind.refuse("its shape is not that of an image")
    height, width, channels = shape
    known = min(height, width) >= 1
    if known and height * width * channels > MOST_PIXEL_BYTES:
        kind.refuse(f"an image of {height}x{width}x{channels} bytes")
    if encoded:
        fixed = (height, width, channels) if known else None
        return RecordFormat(fixed, "png", channels, image, label, id_key)
    if not known or not kind.has("encoding") or kind.text("encoding") != "bytes":
        raise DataError(
            f"{kind.where}: not a tensor of fixed shape, stored as bytes; ingest it as tfds:NAME instead"
        )
    return RecordFormat((height, width, channels), "raw", channels, image, label, id_key)


def _is_image(field: Fields) -> bool:
    if not field.has("tensor"):
        return False
    tensor = field.object("tensor")
    if not tensor.has("dtype") or tensor.text("dtype") != "uint8" or not tensor.has("shape"):
        return False
    shape = tensor.object("shape")
    return shape.has("dimensions") and len(shape.decimals("dimensions", least=-1)) == 3


def _supervised(info: Fields) -> list[str]:
    if not info.has("supervisedKeys") or not info.object("supervisedKeys").has("tuple"):
        return []
    pair = info.object("supervisedKeys").object("tuple")
    items = pair.objects("items") if pair.has("items") else ()
    return [item.text("featureKey") for item in items if item.has("featureKey")]


def _choose(candidates: list[str], preferred: Iterable[str]) -> str | None:
    for name in preferred:
        if name in candidates:
            return name
    return candidates[0] if len(candidates) == 1 else None


def class_names_of(content: bytes | None, path: str, classes: int) -> tuple[str, ...]:
    """The class names in a file; numbers where there is none.

    Args:
      content: of the file, one name a line; None where it is missing.
      path: the file, for messages.
      classes: how many there must be.

    Raises:
      DataError: there are more or fewer names than classes, or they are no text.
    """
    if content is None:
        return tuple(str(i) for i in range(classes))
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: damaged (not UTF-8); {REMEDY}") from error
    names = tuple(text.removesuffix("\n").split("\n"))
    if len(names) != classes:
        raise DataError(f"{path}: {len(names)} class names for {classes} classes; {REMEDY}")
    if not all(map(is_plain_text, names)):
        raise DataError(f"{path}: damaged (a class name holds a control character); {REMEDY}")
    return names


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
    sign: Sign | None = None,
) -> None:
    """Writes all metadata of a dataset whose shards are complete; `dataset_info.json` comes last.

    Args:
      directory: where the shards are and, where the dataset has them, ids.parquet and bad_records.jsonl.
      name: of the dataset.
      version: of the dataset, e.g. `1.0.0`.
      class_names: class i is called class_names[i].
      fmt: how the records are laid out.
      shards: of each split, in the order of splits and shards.
      manifest: what else manifest.json or encryption.json says; no secret.
      encrypted: whether the images are ciphertext.
      sign: makes the MACs of the manifest; None for plain data.

    Raises:
      DataError: a class name holds a line break or another control character.
    """
    if not all(map(is_plain_text, class_names)):
        raise DataError("a class name holds a line break or another control character; rename that class")
    written = {
        LABELS_FILE: "".join(f"{name}\n" for name in class_names).encode(),
        FEATURES_FILE: to_bytes(_features_json(fmt, len(class_names))),
    }
    if fmt.file_format == "parquet":
        written[CARD_FILE] = card(name, version, shards, encrypted=encrypted)
    written[INFO_FILE] = to_bytes(_info_json(name, version, fmt.file_format, shards, encrypted=encrypted))
    files = {file: hashlib.sha256(content).hexdigest() for file, content in written.items()}
    for file in (IDS_FILE, BAD_RECORDS_FILE):
        path = storage.join(directory, file)
        if storage.exists(path):
            files[file] = file_sha256(path)
    record = manifest_bytes(manifest, files, shards, sign)
    storage.write_atomic(storage.join(directory, ENCRYPTION_FILE if encrypted else MANIFEST_FILE), record)
    for file, content in written.items():
        storage.write_atomic(storage.join(directory, file), content)


def file_sha256(path: str) -> str:
    """SHA-256 (hex) of a file's bytes. Raises FileNotFoundError."""
    digest = hashlib.sha256()
    with storage.open_read(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _info_json(
    name: str,
    version: str,
    file_format: FileFormat,
    shards: Mapping[str, list[ShardInfo]],
    *,
    encrypted: bool,
) -> dict[str, Any]:
    return {
        "description": "Images encrypted by lpe." if encrypted else "Images ingested by lpe.",
        "fileFormat": file_format,
        "name": name,
        "splits": [
            {
                "filepathTemplate": file_template(file_format),
                "name": split,
                "numBytes": str(sum(shard.bytes for shard in part)),
                "shardLengths": [str(shard.examples) for shard in part],
            }
            for split, part in shards.items()
        ],
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": version,
    }


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
