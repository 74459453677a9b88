"""File and directory names of a dataset, as TFDS has them.

A version directory, `<root>/<name>/<version>/`:

    <name>-<split>.tfrecord-SSSSS-of-NNNNN    the shards
    features.json, label.labels.txt           what TFDS needs to decode them
    manifest.json  (plain)  or                source, job, per shard: examples, bytes, crc32c;
    encryption.json (encrypted)               for encrypted data also cipher, key id, check value
    ids.parquet                               plain data only: neutral id -> original name
    bad_records.jsonl                         what was skipped, if anything
    retired.json                              once a newer version has replaced this one
    dataset_info.json                         written last: a directory without it is no dataset

Beside the versions, `<root>/<name>/_work/` holds what running and killed jobs have not published yet.
"""

from __future__ import annotations

import re

from lpe.transforms.errors import DataError

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
RETIRED_FILE = "retired.json"
"""When a newer version replaced this one, and which."""
WORK_DIRECTORY = "_work"
"""The directory of a home where versions are made and withdrawn, out of readers' sight."""

FILE_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
"""TFDS's template of a shard's file name."""

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def copy_split(split: str, copy: int) -> str:
    """The name of the split that holds augmented copy `copy` (from 1) of a split's images."""
    return f"{split}_augmented_{copy}"


def check_name(name: str) -> str:
    """Returns `name` if TFDS accepts it as a dataset's name, else raises DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(f"{name!r} cannot name a dataset: use letters, digits and underscores (TFDS's rule)")
    return name


def shard_name(name: str, split: str, index: int, count: int, template: str = FILE_TEMPLATE) -> str:
    """TFDS's name of a shard, e.g. `cifar10-train.tfrecord-00003-of-00008`."""
    return template.format(
        DATASET=name,
        SPLIT=split,
        FILEFORMAT="tfrecord",
        SHARD_X_OF_Y=f"{index:05d}-of-{count:05d}",
        SHARD_INDEX=f"{index:05d}",
        NUM_SHARDS=f"{count:05d}",
    )


def is_version(name: str) -> bool:
    """Whether a directory of this name can be a version: three numbers with dots between."""
    return _VERSION.fullmatch(name) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by number: 1.0.10 after 1.0.9."""
    return tuple(int(part) for part in version.split("."))
