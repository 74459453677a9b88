"""Committed dataset versions, opened by path; their files are described in `layout`.

Everything that is read from a version's metadata is checked here, once: whoever can write a bucket can write there.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import class_counts
from lpe.pipeline.dataset.layout import (
    FEATURES_FILE,
    FILE_TEMPLATE,
    INFO_FILE,
    NAME,
    SPLIT_NAME,
    VERSION,
    copy_splits,
    is_file_template,
    is_version,
    shard_name,
    version_key,
)
from lpe.pipeline.dataset.manifest import MOST_SHARDS, REMEDY, Manifest, ShardInfo, read_manifest
from lpe.pipeline.dataset.metadata import (
    Features,
    SplitInfo,
    class_names_of,
    file_sha256,
    read_features,
)
from lpe.pipeline.dataset.retired_mark import read_mark
from lpe.pipeline.records import FileFormat, RecordFormat
from lpe.pipeline.storage.documents import Fields, parse_document, read_content
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.tables import megabytes, properties_html


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
      manifest: what manifest.json or encryption.json says; None for a directory of TFDS's own.
      encrypted: whether the images are ciphertext.
      file_template: TFDS's template of its shards' file names.
      retired: when it was marked as replaced by a newer version, in UTC; None if it was not.
    """

    directory: str
    name: str
    version: str
    class_names: tuple[str, ...]
    format: RecordFormat
    splits: Mapping[str, SplitInfo]
    manifest: Manifest | None
    encrypted: bool
    file_template: str = FILE_TEMPLATE
    retired: datetime.datetime | None = None

    @property
    def authenticated(self) -> bool:
        """Whether what is recorded of the shards is covered by a MAC."""
        return self.encrypted and self.manifest is not None and self.manifest.format_version > 1

    @property
    def sealed(self) -> bool:
        """Whether the images are sealed, see `lpe.pipeline.seal`."""
        return self.manifest is not None and self.manifest.sealed_shape is not None

    @property
    def num_bytes(self) -> int:
        """The size of all shards, in bytes."""
        return sum(split.num_bytes for split in self.splits.values())

    @property
    def image_shape(self) -> ImageShape | None:
        """(H, W, C) of every image, within the seal if there is one; None where shapes differ."""
        sealed = self.manifest.sealed_shape if self.manifest is not None else None
        return sealed or self.format.image_shape

    def check_open(self) -> None:
        """Raises DataError if the images are sealed."""
        if self.sealed:
            raise DataError(
                f"{self.directory}: this dataset is sealed; open it first: lpe unseal --source dataset:DIR --data-key "
                "FILE"
            )

    @property
    def encryption(self) -> Mapping[str, Any] | None:
        """encryption.json without shards, digests and MACs; None for plain data."""
        return self.manifest.content if self.encrypted and self.manifest is not None else None

    @property
    def augmentation(self) -> Mapping[str, Any] | None:
        """How the augmented copies of a split's images were made; None if there are none."""
        augmented = self.manifest.augmented if self.manifest is not None else None
        return augmented.content if augmented is not None else None

    @property
    def reduction(self) -> str | None:
        """What was done to the images before they were encrypted, which cannot be undone; None for nothing."""
        recorded = (self.encryption or {}).get("reduction")
        return None if recorded is None else str(recorded["steps"])

    @property
    def reading(self) -> Mapping[str, Any] | None:
        """What decided which pixels image files became when they were read; None where that was not recorded."""
        recorded = self.manifest.content.get("reading") if self.manifest is not None else None
        return recorded if isinstance(recorded, dict) else None

    @property
    def class_counts(self) -> Mapping[str, Mapping[str, int]] | None:
        """How many images each split has of each class, by name; None where that was not recorded."""
        recorded = self.manifest.class_counts if self.manifest is not None else None
        if recorded is None:
            return None
        return {split: dict(zip(self.class_names, counts, strict=True)) for split, counts in recorded.items()}

    @property
    def numbers(self) -> Mapping[str, int | None]:
        """See `Manifest`; nothing where that was not recorded."""
        return (self.manifest.numbers if self.manifest is not None else None) or {}

    def copies(self, split: str) -> tuple[str, ...]:
        """The splits that hold augmented copies of a split's images; none for other splits."""
        augmented = self.manifest.augmented if self.manifest is not None else None
        if augmented is None or augmented.split != split:
            return ()
        return copy_splits(split, augmented.copies)

    @property
    def copy_splits(self) -> tuple[str, ...]:
        """All splits of augmented copies."""
        return tuple(copy for split in self.splits for copy in self.copies(split))

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        rows = {"dataset": self.directory}
        copies = self.copy_splits
        counts = self.class_counts
        for name, split in self.splits.items():
            shards, size = len(split.shard_lengths), megabytes(split.num_bytes)
            rows[name] = f"{split.examples:,} images, {shards} {'shard' if shards == 1 else 'shards'}, {size}"
            if counts is not None and name not in copies:
                rows[name] += f"\n{class_counts.describe(counts[name])}"
        if self.augmentation is not None:
            rows["augmented"] = self._augmented(self.augmentation)
        if self.reduction is not None:
            rows["reduction"] = f"{self.reduction} (not invertible)"
        if self.encryption is not None:
            key, sealed = self.encryption["key"], ", sealed" if self.sealed else ""
            rows["cipher"] = f"{self.encryption['cipher']}, one key per {self.encryption['scope']}{sealed}"
            rows["key"] = f"{key['name']} {key['id']}"
        if self.retired is not None:
            rows["retired"] = f"since {self.retired:%Y-%m-%d}: a newer version has replaced it"
        return rows

    def _augmented(self, augmentation: Mapping[str, Any]) -> str:
        """The size of the augmented copies, and what they are."""
        copies = self.copies(augmentation["split"])
        total = sum(self.splits[name].num_bytes for name in copies)
        return (
            f"{len(copies)} × {megabytes(total // len(copies))} = {megabytes(total)} more, for copies of "
            f"{augmentation['split']} ({', '.join(augmentation['kinds'])}; seed {augmentation['seed']})"
        )

    def _repr_html_(self) -> str:
        return properties_html(f"{self.name} {self.version}", self.properties())

    def shard_paths(self, split: str) -> list[str]:
        """The split's files, in shard order. Raises DataError for an unknown split."""
        if split not in self.splits:
            raise DataError(f"{self.directory}: no split {split!r}; it has {', '.join(self.splits)}")
        return [self.shard_path(split, i) for i in range(len(self.splits[split].shard_lengths))]

    def shard_path(self, split: str, index: int) -> str:
        """The file of one of a split's shards."""
        count = len(self.splits[split].shard_lengths)
        kind, template = self.format.file_format, self.file_template
        return storage.join(self.directory, shard_name(self.name, split, index, count, template, kind))

    def shards(self, split: str) -> tuple[ShardInfo, ...] | None:
        """What was recorded of each shard when it was written, in shard order; None for a directory of TFDS's own."""
        return self.manifest.shards[split] if self.manifest is not None else None

    def digest(self, first: Mapping[str, int] | None = None) -> str:
        """SHA-256 (hex) over split, number, examples and SHA-256 of all shards.

        Reads the shards where nobody recorded that: of a directory of TFDS's own, and in format 1, whose CRC32C fits
        as many other files as an adversary likes.

        Args:
          first: of which splits how many shards count, from the first on; None for all.

        Raises:
          DataError: such a shard is missing.
        """
        lines = []
        for split in sorted(self.splits if first is None else first):
            recorded = self.shards(split)
            paths = self.shard_paths(split)
            for i, path in enumerate(paths if first is None else paths[: first[split]]):
                checksum = (recorded[i].sha256 if recorded is not None else None) or _sha256(path)
                lines.append(f"{split} {i} {self.splits[split].shard_lengths[i]} {checksum}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def origin(self) -> str:
        """What stands for the source that the dataset came from in the beginning; see `Manifest`."""
        return self.manifest.origin if self.manifest is not None else self.digest()


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
    return _open_version(version_directory(path))


def version_directory(path: str) -> str:
    """The directory of the version that a path names: itself, or a home's newest committed version.

    Raises:
      DataError: there is no committed dataset.
    """
    if storage.exists(storage.join(path, INFO_FILE)):
        return path
    versions = committed_versions(path)
    if not versions:
        raise DataError(
            f"{path}: no dataset here (no {INFO_FILE}, which is written last); check the path, or run the job "
            "that writes it again"
        )
    return storage.join(path, versions[-1])


def _open_version(directory: str) -> Dataset:
    manifest, encrypted = read_manifest(directory)
    info = _read_fields(directory, INFO_FILE, manifest)
    kind = _file_format(directory, info, manifest)
    features = read_features(_read_fields(directory, FEATURES_FILE, manifest), info, kind)
    splits, template = _read_splits(info, lengths_required=manifest is not None)
    dataset = Dataset(
        directory=directory,
        name=info.text("name", NAME),
        version=info.text("version", VERSION),
        class_names=_read_class_names(directory, features, manifest),
        format=features.format,
        splits=splits,
        manifest=manifest,
        encrypted=encrypted,
        file_template=template,
        retired=read_mark(directory, checksum_required=manifest is not None and manifest.format_version > 1),
    )
    if manifest is not None:
        place = storage.base_name(storage.absolute(directory))
        if is_version(place) and place != dataset.version:
            raise DataError(
                f"{directory}: holds version {dataset.version}, moved here; restore it from a copy"
            )
        _check_shards(dataset, manifest)
        _check_files(directory, manifest, read={INFO_FILE, FEATURES_FILE, features.class_names_file})
    return dataset


def _file_format(directory: str, info: Fields, manifest: Manifest | None) -> FileFormat:
    """The kind of a version's files. TFDS's own Parquet files have other columns than ours: serialised examples."""
    kind = info.text("fileFormat") if info.has("fileFormat") else "tfrecord"
    if kind == "parquet" and manifest is not None:
        return "parquet"
    if kind != "tfrecord":
        raise DataError(f"{directory}: its files are {kind!a}; read it as {_uri_for_tfds(directory, info)}")
    return "tfrecord"


def _uri_for_tfds(directory: str, info: Fields) -> str:
    """How a version that TFDS wrote in another format than TFRecord is named, and where TFDS is to look for it."""
    name = info.text("name", NAME)
    if info.has("configName"):
        name += f"/{info.text('configName')}"
    root = storage.absolute(directory).rsplit("/", name.count("/") + 2)[0]
    return f"tfds:{name}:{info.text('version', VERSION)} with TFDS_DATA_DIR={root}"


def _read(path: str, manifest: Manifest | None) -> bytes:
    """The content of a file, which is as the manifest says."""
    content = read_content(path, REMEDY)
    _check_digest(path, hashlib.sha256(content).hexdigest(), manifest)
    return content


def _read_fields(directory: str, name: str, manifest: Manifest | None) -> Fields:
    path = storage.join(directory, name)
    return parse_document(_read(path, manifest), path, REMEDY)


def _read_class_names(directory: str, features: Features, manifest: Manifest | None) -> tuple[str, ...]:
    path = storage.join(directory, features.class_names_file)
    listed = manifest is not None and features.class_names_file in manifest.files
    content = _read(path, manifest) if listed or storage.exists(path) else None
    return class_names_of(content, path, features.classes)


def _read_splits(info: Fields, *, lengths_required: bool) -> tuple[dict[str, SplitInfo], str]:
    """The splits, in order, and the template of their files' names."""
    splits: dict[str, SplitInfo] = {}
    templates = set()
    for split in info.objects("splits"):
        name = split.text("name", SPLIT_NAME)
        if name in splits:
            split.refuse(f"there are two splits {name}")
        listed = split.raw().get("shardLengths")
        if isinstance(listed, list) and len(listed) > MOST_SHARDS:
            split.refuse(f"{len(listed)} shards, more than {MOST_SHARDS}")
        # Protocol buffers leave out what is empty.
        lengths = split.decimals("shardLengths") if lengths_required or split.has("shardLengths") else ()
        size = split.decimal("numBytes") if lengths_required or split.has("numBytes") else 0
        splits[name] = SplitInfo(lengths, size)
        template = split.text("filepathTemplate") if split.has("filepathTemplate") else ""
        templates.add(template or FILE_TEMPLATE)
        if not is_file_template(template or FILE_TEMPLATE):
            split.refuse(f"{ascii(template)[:60]} is no template of file names")
    if len(templates) > 1:
        info.refuse("its splits have several templates of file names")
    return splits, next(iter(templates), FILE_TEMPLATE)


def _check_shards(dataset: Dataset, manifest: Manifest) -> None:
    """Compares what TFDS's metadata say of the shards with what the manifest says."""
    info_path = storage.join(dataset.directory, INFO_FILE)
    if list(dataset.splits) != list(manifest.shards):
        raise DataError(
            f"{info_path}: damaged (it has other splits than {storage.base_name(manifest.path)}); {REMEDY}"
        )
    for split, shards in manifest.shards.items():
        expected = SplitInfo(tuple(shard.examples for shard in shards), sum(shard.bytes for shard in shards))
        files = [storage.base_name(path) for path in dataset.shard_paths(split)]
        if dataset.splits[split] != expected or files != [shard.file for shard in shards]:
            raise DataError(
                f"{info_path}: damaged (split {split} has other shards than in {storage.base_name(manifest.path)}); "
                f"{REMEDY}"
            )
    for split, counts in (manifest.class_counts or {}).items():
        if len(counts) != len(dataset.class_names):
            raise DataError(
                f"{manifest.path}: damaged (split {split} has counts of {len(counts)} classes, the dataset has "
                f"{len(dataset.class_names)}); {REMEDY}"
            )


def _check_files(directory: str, manifest: Manifest, read: set[str]) -> None:
    """Checks the files that opening a dataset has not read."""
    for name in manifest.files.keys() - read:
        path = storage.join(directory, name)
        _check_digest(path, _sha256(path), manifest)


def _sha256(path: str) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        raise DataError(f"{path}: missing; {REMEDY}") from None


def _check_digest(path: str, digest: str, manifest: Manifest | None) -> None:
    if manifest is None or manifest.format_version == 1:
        return
    recorded = manifest.files.get(storage.base_name(path), "")
    if not hmac.compare_digest(digest, recorded):
        raise DataError(f"{path}: damaged (it is not as it was written: its checksum is another); {REMEDY}")
