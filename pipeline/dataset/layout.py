"""File and directory names of a dataset, as TFDS has them.

A version directory, `<root>/<name>/<version>/`:

    <name>-<split>.tfrecord-SSSSS-of-NNNNN    the shards, or
    <name>-<split>-SSSSS-of-NNNNN.parquet     the shards and
    README.md                                 what Hugging Face's `datasets` needs to find them
    features.json, label.labels.txt           what TFDS needs to decode them
    manifest.json  (plain)  or                source, job, digests of all other files, per shard: examples,
    encryption.json (encrypted)               bytes, checksums; for encrypted data also cipher, key id, MAC
    ids.parquet                               plain data only: neutral id -> original name
    bad_records.jsonl                         what was skipped, if anything
    retired.json                              once a newer version has replaced this one
    dataset_info.json                         written last: a directory without it is no dataset

Beside the versions, `<root>/<name>/_work/` holds what running and killed jobs have not published yet.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from lpe.transforms.errors import DataError

if TYPE_CHECKING:
    from lpe.pipeline.records import FileFormat

INFO_FILE = "dataset_info.json"
"""Name, version and splits, as TFDS reads them; its presence is the commit."""
FEATURES_FILE = "features.json"
"""The features of an example, as TFDS reads them."""
LABELS_FILE = "label.labels.txt"
"""One class name a line."""
MANIFEST_FILE = "manifest.json"
"""What `lpe` knows of a plain dataset's making."""
ENCRYPTION_FILE = "encryption.json"
"""What `lpe` knows of an encrypted dataset's making; its presence says that the images are ciphertext."""
IDS_FILE = "ids.parquet"
"""Neutral id -> original name; never beside ciphertext."""
BAD_RECORDS_FILE = "bad_records.jsonl"
"""The records that were skipped, one JSON object {where, reason} a line."""
CARD_FILE = "README.md"
"""Parquet alone: the files of each split, as Hugging Face's `datasets` reads them."""
RETIRED_FILE = "retired.json"
"""When a newer version replaced this one, and which."""
WORK_DIRECTORY = "_work"
"""The directory of a home where versions are made and withdrawn, out of readers' sight."""

FILE_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
"""TFDS's template of a shard's file name."""
PARQUET_TEMPLATE = "{DATASET}-{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}"
"""The template of a Parquet file's name: tools know such files by their ending."""

_TEMPLATE_FIELDS = frozenset(["DATASET", "SPLIT", "FILEFORMAT", "SHARD_INDEX", "NUM_SHARDS", "SHARD_X_OF_Y"])

NAME = re.compile(r"[A-Za-z]\w{0,199}", re.ASCII)
"""What a dataset can be called: TFDS's rule."""
SPLIT_NAME = re.compile(r"\w[\w-]{0,199}", re.ASCII)
"""What a split can be called: TFDS's rule, but that it does not begin with a dash."""
KEYSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}", re.ASCII)
"""What the keyset of an encrypted dataset can be called; key stores make shorter ones."""
VERSION = re.compile(r"(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})\.(?:0|[1-9]\d{0,8})", re.ASCII)
"""What a version can be called: three numbers."""
_LITERAL = re.compile(r"[\w.=-]*", re.ASCII)


def copy_split(split: str, copy: int) -> str:
    """The name of the split that holds augmented copy `copy` (from 1) of a split's images."""
    return f"{split}_augmented_{copy}"


def copy_splits(split: str, copies: int) -> tuple[str, ...]:
    """The names of the splits that hold so many augmented copies of a split's images."""
    return tuple(copy_split(split, copy) for copy in range(1, copies + 1))


def check_name(name: str) -> str:
    """Returns `name` if TFDS accepts it as a dataset's name, else raises DataError."""
    if not NAME.fullmatch(name):
        raise DataError(f"{name!r} cannot name a dataset: use letters, digits and underscores (TFDS's rule)")
    return name


def is_file_template(template: str) -> bool:
    """Whether shards can be named by a template: TFDS's fields as they are, and no directory."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return False
    return bool(parts) and all(
        _LITERAL.fullmatch(literal)
        and (field is None or (field in _TEMPLATE_FIELDS and not form and not conversion))
        for literal, field, form, conversion in parts
    )


def file_template(file_format: FileFormat) -> str:
    """The template by which we name files of a kind."""
    return PARQUET_TEMPLATE if file_format == "parquet" else FILE_TEMPLATE


def shard_name(
    name: str,
    split: str,
    index: int,
    count: int,
    template: str | None = None,
    file_format: FileFormat = "tfrecord",
) -> str:
    """The name of a shard, e.g. `cifar10-train.tfrecord-00003-of-00008`, by our template unless another is given."""
    return (template or file_template(file_format)).format(
        DATASET=name,
        SPLIT=split,
        FILEFORMAT=file_format,
        SHARD_X_OF_Y=f"{index:05d}-of-{count:05d}",
        SHARD_INDEX=f"{index:05d}",
        NUM_SHARDS=f"{count:05d}",
    )


def is_version(name: str) -> bool:
    """Whether a directory of this name can be a version: three numbers with dots between."""
    return VERSION.fullmatch(name) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by number: 1.0.10 after 1.0.9."""
    return tuple(int(part) for part in version.split("."))
