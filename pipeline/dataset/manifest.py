"""The manifest of a dataset version, manifest.json or encryption.json: what `lpe` knows of its making.

A version's files are tied together from here: the manifest holds a SHA-256 of every shard and of every other file,
and ends with one of itself, so that a single changed bit anywhere shows. For an encrypted version it is authenticated
as well, by a MAC under the dataset's key (`lpe.pipeline.encryption.authentication`).

Format 1, which is read and no longer written, has a CRC32C of each shard and no more.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import checksummed
from lpe.pipeline.dataset.layout import (
    ENCRYPTION_FILE,
    MANIFEST_FILE,
    SPLIT_NAME,
    copy_splits,
)
from lpe.pipeline.dataset.numbers import MOST_NUMBER
from lpe.pipeline.storage import documents
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

FORMAT_VERSION = 2
"""Of manifest.json and encryption.json; a change that old readers cannot take raises it."""
REMEDY = "restore it from a copy or write the dataset again"
"""What to do about a damaged dataset."""

Sign = Callable[[bytes], Mapping[str, str | None]]
"""Makes the MACs (hex) of an encrypted version's manifest, by the key that each is under."""

MOST_SHARDS = 99_999
"""The most shards of a split: TFDS numbers them in five digits."""
MOST_PIXEL_BYTES = 1 << 31
"""The most bytes of an image: H·W·C."""

_SALT_DIGITS = {1: 32, 2: 64}
_CRC = re.compile(r"[0-9a-f]{8}", re.ASCII)
_FILE = re.compile(r"\w[\w.=-]*", re.ASCII)
_WORD = re.compile(r"\w+", re.ASCII)
_SEPARATE = ("shards", "files", "mac", "sha256")
"""The fields that say nothing of how the version was made."""


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One shard as it was written.

    Attributes:
      file: its file name.
      examples: how many it holds.
      bytes: its size.
      crc32c: CRC32C of the file, 8 hex digits.
      sha256: SHA-256 of the file, 64 hex digits; None in a dataset of format 1.
    """

    file: str
    examples: int
    bytes: int
    crc32c: str
    sha256: str | None = None

    @property
    def checksum(self) -> str:
        """The strongest checksum that is known."""
        return self.sha256 or self.crc32c


@dataclasses.dataclass(frozen=True)
class Augmented:
    """The split whose images have augmented copies, as splits of their own.

    Attributes:
      split: its name.
      copies: how many.
      content: everything that the manifest says of them.
    """

    split: str
    copies: int
    content: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of manifest.json or encryption.json, checked.

    Attributes:
      path: its file.
      format_version: 1 or 2.
      job: fingerprint of the job that wrote the version; keyed for an encrypted one.
      origin: stands for the source that the images came from in the beginning; keyed for an encrypted version.
      bad_records: images that were left out because they cannot be read.
      shards: of each split, in the order of splits and shards.
      files: SHA-256 (hex) of every other file of the version, by name; empty in format 1.
      sealed_shape: (H, W, C) of the images within the seal; None if there is none.
      augmented: the copies of a split; None if there are none.
      class_counts: of each split, its images of each class; None where that was not recorded.
      numbers: of each split, the number after those that images were given as ids, None where ids are not neutral; None
        where that was not recorded.
      content: every field but shards, digests and MACs.
      mac: MACs (hex) of an encrypted version of format 2, by the key that each is under.
    """

    path: str
    format_version: int
    job: str
    origin: str
    bad_records: int
    shards: Mapping[str, tuple[ShardInfo, ...]]
    files: Mapping[str, str]
    sealed_shape: ImageShape | None
    augmented: Augmented | None
    class_counts: Mapping[str, tuple[int, ...]] | None
    numbers: Mapping[str, int | None] | None
    content: Mapping[str, Any]
    mac: Mapping[str, str | None]

    def authenticated_bytes(self) -> bytes:
        """What the MACs are of: everything but themselves."""
        return checksummed.to_bytes(_authenticated(self.content, self.files, self.shards))


def is_salt(text: str, format_version: int) -> bool:
    """Whether a text can be the salt of an encrypted dataset of a format; see `lpe.transforms.labels`."""
    return len(text) == _SALT_DIGITS[format_version] and all(digit in "0123456789abcdef" for digit in text)


def manifest_bytes(
    content: Mapping[str, Any],
    files: Mapping[str, str],
    shards: Mapping[str, Sequence[ShardInfo]],
    sign: Sign | None,
) -> bytes:
    """The bytes of a new version's manifest.

    Args:
      content: how the version was made; no secret.
      files: SHA-256 (hex) of every file of the version but shards and manifest, by name.
      shards: of each split, in the order of splits and shards.
      sign: makes the MACs; None for plain data.
    """
    value = _authenticated({"format_version": FORMAT_VERSION, **content}, files, shards)
    if sign is not None:
        value["mac"] = dict(sign(checksummed.to_bytes(value)))
    return checksummed.with_checksum(value)


def _authenticated(
    content: Mapping[str, Any], files: Mapping[str, str], shards: Mapping[str, Sequence[ShardInfo]]
) -> dict[str, Any]:
    """The part of a manifest that its MACs are of."""
    listed = {split: [dataclasses.asdict(shard) for shard in part] for split, part in shards.items()}
    return {**content, "files": dict(files), "shards": listed}


def read_manifest(directory: str) -> tuple[Manifest | None, bool]:
    """The manifest of a version directory, and whether the images are ciphertext; None for one of TFDS's own.

    Raises:
      DataError: it is damaged, of an unknown format, or there are two.
    """
    present = [
        name for name in (ENCRYPTION_FILE, MANIFEST_FILE) if storage.exists(storage.join(directory, name))
    ]
    if len(present) > 1:
        raise DataError(f"{directory}: has both {' and '.join(present)}; restore it from a copy")
    if not present:
        return None, False
    encrypted = present == [ENCRYPTION_FILE]
    path = storage.join(directory, present[0])
    content = documents.read_content(path, REMEDY)
    fields = documents.parse_document(content, path, REMEDY)
    version = fields.integer("format_version")
    if not 1 <= version <= FORMAT_VERSION:
        raise DataError(
            f"{path}: format version {version}, this `lpe` reads 1 to {FORMAT_VERSION}; use the version of `lpe` that "
            "wrote it"
        )
    if version > 1:
        checksummed.check(fields, content)
    return _from_fields(fields, path, version, encrypted=encrypted), encrypted


def _from_fields(fields: Fields, path: str, version: int, *, encrypted: bool) -> Manifest:
    new = version > 1
    shards: dict[str, tuple[ShardInfo, ...]] = {}
    listed = fields.object("shards")
    for split in listed.names():
        if not SPLIT_NAME.fullmatch(split):
            listed.refuse(f"a split cannot be called {ascii(split)[:60]}")
        shards[split] = tuple(read_shard(shard, version) for shard in listed.objects(split))
    files: dict[str, str] = {}
    mac: dict[str, str | None] = {}
    if new:
        named = fields.object("files")
        for name in named.names():
            if not _FILE.fullmatch(name):
                named.refuse(f"a file cannot be called {ascii(name)[:60]}")
            files[name] = named.text(name, checksummed.DIGEST)
    if encrypted:
        _check_encryption(fields)
    if new and encrypted:
        macs = fields.object("mac")
        mac = {name: macs.optional_text(name, checksummed.DIGEST) for name in ("key", "data_key")}
        macs.only(*mac)
    content = {name: value for name, value in fields.raw().items() if name not in _SEPARATE}
    return Manifest(
        path=path,
        format_version=version,
        job=fields.text("job"),
        origin=fields.text("origin"),
        bad_records=fields.integer("bad_records"),
        shards=shards,
        files=files,
        sealed_shape=_sealed_shape(fields) if encrypted else None,
        augmented=_augmented(fields, shards),
        class_counts=_class_counts(fields, shards),
        numbers=_numbers(fields, shards),
        content=content,
        mac=mac,
    )


def read_shard(fields: Fields, format_version: int = FORMAT_VERSION) -> ShardInfo:
    """What is recorded of a shard, in a manifest or a receipt. Raises DataError if it is damaged."""
    new = format_version > 1
    fields.only("file", "examples", "bytes", "crc32c", *(["sha256"] if new else []))
    return ShardInfo(
        fields.text("file", _FILE),
        fields.integer("examples"),
        fields.integer("bytes"),
        fields.text("crc32c", _CRC),
        fields.text("sha256", checksummed.DIGEST) if new else None,
    )


def _check_encryption(fields: Fields) -> None:
    """Checks what is shown and logged of an encryption; `lpe.pipeline.encryption.metadata` checks all of it."""
    fields.text("cipher")
    fields.text("scope")
    key = fields.object("key")
    key.text("name")
    key.integer("id")
    if fields.has("reduction") and (reduction := fields.optional_object("reduction")) is not None:
        reduction.text("steps")
    if fields.has("reencrypted_from"):
        before = fields.object("reencrypted_from")
        before.text("version")
        before.integer("key")


def _sealed_shape(fields: Fields) -> ImageShape | None:
    if not fields.has("seal") or (seal := fields.optional_object("seal")) is None:
        return None  # the first datasets do not mention a seal
    return read_image_shape(seal)


def read_image_shape(fields: Fields) -> ImageShape:
    """The field `image_shape`, (H, W, C). Raises DataError if that is no shape of an image."""
    shape = fields.integers("image_shape", least=1, most=MOST_PIXEL_BYTES)
    if len(shape) != 3 or shape[0] * shape[1] * shape[2] > MOST_PIXEL_BYTES:
        fields.refuse("'image_shape' is no shape of an image")
    return shape[0], shape[1], shape[2]


def _augmented(fields: Fields, shards: Mapping[str, object]) -> Augmented | None:
    if not fields.has("augmentation"):
        return None
    augmentation = fields.object("augmentation")
    split = augmentation.text("split", SPLIT_NAME)
    copies = augmentation.integer("copies", least=1, most=MOST_SHARDS)
    augmentation.texts("kinds", _WORD)
    augmentation.integer("seed", least=-(2**63))
    missing = {split, *copy_splits(split, copies)} - {*shards}
    if missing:
        augmentation.refuse(f"there is no split {min(missing)}")
    return Augmented(split, copies, augmentation.raw())


def _class_counts(
    fields: Fields, shards: Mapping[str, Sequence[ShardInfo]]
) -> Mapping[str, tuple[int, ...]] | None:
    if not fields.has("class_counts"):
        return None  # the first datasets do not have them
    recorded = fields.object("class_counts")
    recorded.only(*shards)
    counts = {split: recorded.integers(split) for split in shards}
    for split, part in shards.items():
        if sum(counts[split]) != sum(shard.examples for shard in part):
            recorded.refuse(f"those of {split} are not as many as its examples")
    return counts


def _numbers(fields: Fields, shards: Mapping[str, object]) -> Mapping[str, int | None] | None:
    if not fields.has("numbers"):
        return None  # the first datasets do not have them
    recorded = fields.object("numbers")
    recorded.only(*shards)
    return {
        split: None if recorded.is_null(split) else recorded.integer(split, most=MOST_NUMBER)
        for split in shards
    }
