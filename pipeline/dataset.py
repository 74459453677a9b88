"""A dataset on disk: a TFDS directory, and beside it what `lpe` knows of its making.

Layout of a version directory (`<root>/<name>/<version>/`):

    <name>-<split>.tfrecord-SSSSS-of-NNNNN    the shards
    features.json, label.labels.txt           what TFDS needs to decode them
    manifest.json  (plain)  or                source, job, per shard: examples, bytes, crc32c;
    encryption.json (encrypted)               for encrypted data also cipher, key id, check value
    ids.parquet                               plain data only: neutral id -> original name
    bad_records.jsonl                         what was skipped, if anything
    dataset_info.json                         written last: a directory without it is no dataset
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pipeline import storage
from pipeline.records import RecordFormat
from pipeline.tfrecord import extend_crc32c
from transforms.errors import DataError

FORMAT_VERSION = 1
INFO_FILE = "dataset_info.json"
FEATURES_FILE = "features.json"
LABELS_FILE = "label.labels.txt"
MANIFEST_FILE = "manifest.json"
ENCRYPTION_FILE = "encryption.json"
IDS_FILE = "ids.parquet"
BAD_RECORDS_FILE = "bad_records.jsonl"

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One shard as it was written: its file name, examples, size in bytes and CRC32C (hex)."""

    file: str
    examples: int
    bytes: int
    crc32c: str


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: examples per shard, in shard order, and bytes in all."""

    shard_lengths: tuple[int, ...]
    num_bytes: int

    @property
    def examples(self) -> int:
        return sum(self.shard_lengths)

    def summary(self) -> dict[str, int]:
        return {"examples": self.examples, "shards": len(self.shard_lengths), "bytes": self.num_bytes}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A committed dataset version.

    Attributes:
      directory: its version directory.
      name, version: as TFDS has them.
      class_names: class i is called class_names[i].
      format: how its records are laid out.
      splits: its splits.
      manifest: the content of manifest.json or encryption.json; None for a directory of TFDS's own.
      encrypted: whether the images are ciphertext.
    """

    directory: str
    name: str
    version: str
    class_names: tuple[str, ...]
    format: RecordFormat
    splits: Mapping[str, SplitInfo]
    manifest: Mapping[str, Any] | None
    encrypted: bool
    file_template: str = _TEMPLATE

    @property
    def seal(self) -> Mapping[str, Any] | None:
        """How the images are sealed, see `pipeline.sealing`; None if they are not."""
        return self.manifest.get("seal") if self.manifest is not None else None

    @property
    def num_bytes(self) -> int:
        """The size of all shards."""
        return sum(split.num_bytes for split in self.splits.values())

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(H, W, C), within the seal if there is one; None where shapes differ."""
        if self.seal is None:
            return self.format.image_shape
        height, width, channels = self.seal["image_shape"]
        return height, width, channels

    def check_open(self) -> None:
        """Raises DataError if the images are sealed."""
        if self.seal is not None:
            raise DataError(
                f"{self.directory}: this dataset is sealed; open it first: lpe unseal --source dataset:DIR --data-key "
                "FILE"
            )

    @property
    def encryption(self) -> Mapping[str, Any] | None:
        """encryption.json without its list of shards; None for plain data."""
        if not self.encrypted or self.manifest is None:
            return None
        return {key: value for key, value in self.manifest.items() if key != "shards"}

    @property
    def augmentation(self) -> Mapping[str, Any] | None:
        """How the augmented copies of a split's images were made; None if there are none."""
        return (self.manifest or {}).get("augmentation")

    def copies(self, split: str) -> tuple[str, ...]:
        """The splits that hold augmented copies of a split's images, see `pipeline.augmented`."""
        if self.augmentation is None or self.augmentation["split"] != split:
            return ()
        return tuple(copy_split(split, copy) for copy in range(1, self.augmentation["copies"] + 1))

    def shard_paths(self, split: str) -> list[str]:
        """The split's files, in shard order. Raises DataError for an unknown split."""
        if split not in self.splits:
            raise DataError(f"{self.directory}: no split {split!r}; it has {', '.join(self.splits)}")
        count = len(self.splits[split].shard_lengths)
        return [
            storage.join(self.directory, shard_name(self.name, split, i, count, self.file_template))
            for i in range(count)
        ]

    def shards(self, split: str) -> tuple[ShardInfo, ...] | None:
        """What was recorded of each shard when it was written; None for a directory of TFDS's own."""
        if self.manifest is None:
            return None
        return tuple(ShardInfo(**shard) for shard in self.manifest["shards"][split])

    def digest(self) -> str:
        """SHA-256 (hex) over the names, sizes and checksums of all shards."""
        lines = []
        for split in sorted(self.splits):
            recorded = self.shards(split)
            for i, path in enumerate(self.shard_paths(split)):
                crc = recorded[i].crc32c if recorded is not None else file_crc32c(path)
                lines.append(f"{split} {i} {self.splits[split].shard_lengths[i]} {crc}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def origin(self) -> str:
        """The digest of the source that the dataset came from in the beginning."""
        return cast(str, self.manifest["origin"]) if self.manifest is not None else self.digest()


def copy_split(split: str, copy: int) -> str:
    """The name of the split that holds augmented copy `copy` (from 1) of a split's images."""
    return f"{split}_augmented_{copy}"


def check_name(name: str) -> str:
    """Returns `name` if TFDS accepts it as a dataset's name, else raises DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(f"{name!r} cannot name a dataset: use letters, digits and underscores (TFDS's rule)")
    return name


def shard_name(name: str, split: str, index: int, count: int, template: str = _TEMPLATE) -> str:
    """TFDS's name of a shard, e.g. `cifar10-train.tfrecord-00003-of-00008`."""
    return template.format(
        DATASET=name,
        SPLIT=split,
        FILEFORMAT="tfrecord",
        SHARD_X_OF_Y=f"{index:05d}-of-{count:05d}",
        SHARD_INDEX=f"{index:05d}",
        NUM_SHARDS=f"{count:05d}",
    )


def file_crc32c(path: str) -> str:
    """CRC32C (8 hex digits) of a file's bytes."""
    crc = 0
    with storage.open_read(path) as file:
        while piece := file.read(1 << 22):
            crc = extend_crc32c(crc, piece)
    return f"{crc:08x}"


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by number: 1.0.10 after 1.0.9."""
    return tuple(int(part) for part in version.split("."))


def committed_versions(home: str) -> list[str]:
    """The committed versions of a dataset home, oldest first."""
    names = [name for name in storage.list_names(home) if _VERSION.fullmatch(name)]
    found = [name for name in names if storage.exists(storage.join(home, name, INFO_FILE))]
    return sorted(found, key=version_key)


def open_dataset(path: str) -> Dataset:
    """Opens a dataset home (its newest committed version) or a version directory.

    Raises:
      DataError: there is no committed dataset, or its metadata is damaged or of a kind that
        `lpe` does not read.
    """
    if storage.exists(storage.join(path, INFO_FILE)):
        return _open_version(path)
    versions = committed_versions(path)
    if not versions:
        raise DataError(
            f"{path}: no dataset here (no {INFO_FILE}, which is written last); check the path, or run the job "
            "that writes it again"
        )
    return _open_version(storage.join(path, versions[-1]))


def _open_version(directory: str) -> Dataset:
    info = _read_json(directory, INFO_FILE)
    features = _read_json(directory, FEATURES_FILE)
    manifest: Mapping[str, Any] | None = None
    encrypted = storage.exists(storage.join(directory, ENCRYPTION_FILE))
    for name in (ENCRYPTION_FILE, MANIFEST_FILE):
        if manifest is None and storage.exists(storage.join(directory, name)):
            manifest = _read_json(directory, name)
            if manifest.get("format_version") != FORMAT_VERSION:
                raise DataError(
                    f"{directory}/{name}: format version {manifest.get('format_version')!r}, this `lpe` reads "
                    f"{FORMAT_VERSION}; use the version of `lpe` that wrote it"
                )
    try:
        if info.get("fileFormat", "tfrecord") != "tfrecord":
            raise DataError(
                f"{directory}: its files are {info['fileFormat']}; read it as tfds:NAME with TFDS_DATA_DIR"
            )
        fmt, label_key = _read_features(features, info, directory)
        splits = {
            split["name"]: SplitInfo(
                tuple(int(n) for n in split.get("shardLengths", [])), int(split.get("numBytes", 0))
            )
            for split in info["splits"]
        }
        templates = {split.get("filepathTemplate") or _TEMPLATE for split in info["splits"]}
        return Dataset(
            directory=directory,
            name=info["name"],
            version=info["version"],
            class_names=_class_names(directory, features, label_key),
            format=fmt,
            splits=splits,
            manifest=manifest,
            encrypted=encrypted,
            file_template=next(iter(templates), _TEMPLATE),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{directory}: its metadata is damaged ({error!r}); write the dataset again"
        ) from error


def _read_features(
    features: Mapping[str, Any], info: Mapping[str, Any], directory: str
) -> tuple[RecordFormat, str]:
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


def _class_names(directory: str, features: Mapping[str, Any], label: str) -> tuple[str, ...]:
    count = int(features["featuresDict"]["features"][label]["classLabel"]["numClasses"])
    path = storage.join(directory, f"{label}.labels.txt")
    if not storage.exists(path):
        return tuple(str(i) for i in range(count))
    names = tuple(storage.read_bytes(path).decode().splitlines())
    if len(names) != count:
        raise DataError(f"{path}: {len(names)} class names for {count} classes; write the dataset again")
    return names


def _read_json(directory: str, name: str) -> dict[str, Any]:
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
    """Writes all metadata of a dataset whose shards are complete; `dataset_info.json` comes last."""
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
                "filepathTemplate": _TEMPLATE,
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
