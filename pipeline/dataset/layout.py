"""File and directory names of a dataset, as TFDS has them."""

from __future__ import annotations

import re

from lpe.transforms.errors import DataError

INFO_FILE = "dataset_info.json"


FEATURES_FILE = "features.json"


LABELS_FILE = "label.labels.txt"


MANIFEST_FILE = "manifest.json"


ENCRYPTION_FILE = "encryption.json"


IDS_FILE = "ids.parquet"


BAD_RECORDS_FILE = "bad_records.jsonl"


_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)


FILE_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


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


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions by number: 1.0.10 after 1.0.9."""
    return tuple(int(part) for part in version.split("."))
