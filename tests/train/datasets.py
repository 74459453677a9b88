"""Small datasets for the tests of `train`, written with the pipeline's own records and metadata."""

from pathlib import Path

import numpy as np

from lpe.pipeline import records
from lpe.pipeline.dataset import ShardInfo
from lpe.pipeline.dataset.layout import shard_name
from lpe.pipeline.dataset.metadata import file_sha256, write_metadata
from lpe.pipeline.dataset.reader import file_crc32c
from lpe.transforms.batch import ImageBatch

CLASSES = ("dark", "bright", "left")
ENCRYPTION = {
    "cipher": "lpe-100",
    "params": {"chain": "raster", "channels": "shared"},
    "scope": "dataset",
    "salt": "00" * 32,
    "key": {"name": "patients", "id": 17, "check_value": "ab" * 16},
    "sealed_class_names": None,
}


def toy_images(count, seed, shape=(16, 16, 3)):
    """Images uint8 [count, *shape] of three easy classes, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = random.integers(0, 128, (count, *shape), np.uint8)
    images[labels == 1] += 100
    images[labels == 2, :, : shape[1] // 2] += 100
    return images, labels.astype(np.int64)


def write_dataset(home, splits=None, *, encryption=None, class_names=CLASSES, shards=3, version="1.0.0"):
    """Writes a version of a dataset into `home`; returns the home's path."""
    directory = Path(home, version)
    directory.mkdir(parents=True)
    splits = splits or {"train": toy_images(200, 0), "test": toy_images(60, 1)}
    fmt = records.RecordFormat(next(iter(splits.values()))[0].shape[1:])
    written = {}
    for split, (images, labels) in splits.items():
        written[split] = []
        for i, part in enumerate(np.array_split(np.arange(len(images)), shards)):
            path = directory / shard_name("toy", split, i, shards)
            batch = ImageBatch([f"{split}-{j:07d}" for j in part], images[part], labels[part])
            path.write_bytes(records.encode(batch, fmt))
            size, crc, sha256 = path.stat().st_size, file_crc32c(str(path)), file_sha256(str(path))
            written[split].append(ShardInfo(path.name, len(part), size, crc, sha256))
    write_metadata(
        str(directory),
        name="toy",
        version=version,
        class_names=class_names,
        fmt=fmt,
        shards=written,
        manifest={"job": "0" * 64, "origin": "0" * 64, "bad_records": 0, **(encryption or {})},
        encrypted=encryption is not None,
        sign=(lambda message: {"key": "00" * 32, "data_key": None}) if encryption is not None else None,
    )
    return str(home)
