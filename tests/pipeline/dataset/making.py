"""Small datasets on disk, written through the public interface."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lpe.pipeline import records, storage
from lpe.pipeline.dataset import Dataset, ShardInfo, open_dataset
from lpe.pipeline.dataset.layout import shard_name
from lpe.pipeline.dataset.metadata import file_sha256, write_metadata
from lpe.pipeline.dataset.reader import file_crc32c
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.transforms.batch import ImageBatch

SHAPE = (4, 3, 3)
CLASSES = ("cat", "dog")
ENCRYPTION = {
    "cipher": "lpe-100",
    "params": {},
    "scope": "dataset",
    "salt": "5a" * 32,
    "key": {"name": "patients", "id": 7, "check_value": "ab" * 16},
    "sealed_class_names": None,
    "seal": None,
    "source": None,
    "unsealed": False,
}
"""The description of an encryption under a key that is nowhere."""


def batch(split: str, first: int, count: int) -> ImageBatch:
    """Examples `first`, … of a split; each image says which one it is."""
    images = np.full((count, *SHAPE), 0, np.uint8)
    images[:, 0, 0, 0] = np.arange(first, first + count)
    ids = [f"{split}-{number:07d}" for number in range(first, first + count)]
    return ImageBatch(ids, images, np.arange(first, first + count) % len(CLASSES))


def make(
    home: Path,
    splits: Mapping[str, tuple[int, ...]],
    *,
    version: str = "1.0.0",
    encrypted: bool = False,
    **manifest: Any,
) -> Dataset:
    """Writes and opens a version whose splits have shards of so many examples."""
    directory, fmt = home / version, RecordFormat(SHAPE)
    shards: dict[str, list[ShardInfo]] = {}
    for split, lengths in splits.items():
        shards[split] = []
        for index, length in enumerate(lengths):
            name = shard_name(home.name, split, index, len(lengths))
            data = records.encode(batch(split, sum(lengths[:index]), length), fmt)
            storage.write_atomic(str(directory / name), data)
            path = str(directory / name)
            shards[split].append(ShardInfo(name, length, len(data), file_crc32c(path), file_sha256(path)))
    write_metadata(
        str(directory),
        name=home.name,
        version=version,
        class_names=CLASSES,
        fmt=fmt,
        shards=shards,
        manifest={
            "job": "j",
            "origin": "o",
            "bad_records": 0,
            **(ENCRYPTION if encrypted else {}),
            **manifest,
        },
        encrypted=encrypted,
        sign=(lambda message: {"key": "00" * 32, "data_key": None}) if encrypted else None,
    )
    return open_dataset(str(directory))


def rewrite_shard(directory: Path, split: str, index: int, data: bytes) -> None:
    """Puts other bytes in the place of a plain version's shard, whose checksums are made to fit."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    shard = manifest["shards"][split][index]
    (directory / shard["file"]).write_bytes(data)
    shard["crc32c"], shard["sha256"] = (
        f"{tfrecord.extend_crc32c(0, data):08x}",
        hashlib.sha256(data).hexdigest(),
    )
    del manifest["sha256"]
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
