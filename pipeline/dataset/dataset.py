"""Committed dataset versions, opened by path; their files are described in `layout`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, cast

from lpe.pipeline import storage
from lpe.pipeline.dataset.layout import (
    ENCRYPTION_FILE,
    FEATURES_FILE,
    FILE_TEMPLATE,
    INFO_FILE,
    MANIFEST_FILE,
    copy_split,
    is_version,
    shard_name,
    version_key,
)
from lpe.pipeline.dataset.metadata import (
    FORMAT_VERSION,
    ShardInfo,
    SplitInfo,
    read_class_names,
    read_features,
    read_json,
)
from lpe.pipeline.dataset.reader import file_crc32c
from lpe.pipeline.records import RecordFormat
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A committed dataset version: its metadata, read once; the shards stay on disk.

    Attributes:
      directory: its version directory.
      name: as TFDS has it.
      version: as TFDS has it, e.g. `1.0.0`.
      class_names: class i is called class_names[i].
      format: how its records are laid out.
      splits: its splits, by name, in the order of `dataset_info.json`.
      manifest: the content of manifest.json or encryption.json; None for a directory of TFDS's own.
      encrypted: whether the images are ciphertext.
      file_template: TFDS's template of its shards' file names.
    """

    directory: str
    name: str
    version: str
    class_names: tuple[str, ...]
    format: RecordFormat
    splits: Mapping[str, SplitInfo]
    manifest: Mapping[str, Any] | None
    encrypted: bool
    file_template: str = FILE_TEMPLATE

    @property
    def seal(self) -> Mapping[str, Any] | None:
        """How the images are sealed, see `lpe.pipeline.keystore.data_key`; None if they are not."""
        return self.manifest.get("seal") if self.manifest is not None else None

    @property
    def num_bytes(self) -> int:
        """The size of all shards, in bytes."""
        return sum(split.num_bytes for split in self.splits.values())

    @property
    def image_shape(self) -> ImageShape | None:
        """(H, W, C) of every image, within the seal if there is one; None where shapes differ."""
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
        return self.manifest.get("augmentation") if self.manifest is not None else None

    def copies(self, split: str) -> tuple[str, ...]:
        """The splits that hold augmented copies of a split's images; none for other splits."""
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
        """What was recorded of each shard when it was written, in shard order; None for a directory of TFDS's own."""
        if self.manifest is None:
            return None
        return tuple(ShardInfo(**shard) for shard in self.manifest["shards"][split])

    def digest(self) -> str:
        """SHA-256 (hex) over split, number, examples and checksum of all shards.

        Reads the shards of a directory of TFDS's own, whose checksums nobody recorded.

        Raises:
          FileNotFoundError: such a shard is missing.
        """
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


def committed_versions(home: str) -> list[str]:
    """The committed versions of a dataset home, oldest first."""
    names = [name for name in storage.list_names(home) if is_version(name)]
    committed = [name for name in names if storage.exists(storage.join(home, name, INFO_FILE))]
    return sorted(committed, key=version_key)


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
    info = read_json(directory, INFO_FILE)
    features = read_json(directory, FEATURES_FILE)
    manifest: Mapping[str, Any] | None = None
    encrypted = storage.exists(storage.join(directory, ENCRYPTION_FILE))
    for name in (ENCRYPTION_FILE, MANIFEST_FILE):
        if manifest is None and storage.exists(storage.join(directory, name)):
            manifest = read_json(directory, name)
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
        fmt, label_key = read_features(features, info, directory)
        splits = {
            split["name"]: SplitInfo(
                tuple(int(n) for n in split.get("shardLengths", [])), int(split.get("numBytes", 0))
            )
            for split in info["splits"]
        }
        templates = {split.get("filepathTemplate") or FILE_TEMPLATE for split in info["splits"]}
        return Dataset(
            directory=directory,
            name=info["name"],
            version=info["version"],
            class_names=read_class_names(directory, features, label_key),
            format=fmt,
            splits=splits,
            manifest=manifest,
            encrypted=encrypted,
            file_template=next(iter(templates), FILE_TEMPLATE),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{directory}: its metadata is damaged ({error!r}); write the dataset again"
        ) from error
