"""Forecast of an encryption, without doing it: `lpe encrypt --dry-run`.

The plan is the real one. The speed is measured, here and now, on the first images of the source, under a key
that is thrown away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import resource
import secrets
import sys
from typing import Any

from lpe.pipeline import records
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.jobs.choice import stored_format
from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.records import FileFormat, RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, fail
from lpe.pipeline.seal.data_key import KEY_BYTES, DataKey
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import Plan, ReadSpec, check_scope, open_plan
from lpe.transforms.augment import Augmentation
from lpe.transforms.batch import ImageBatch
from lpe.transforms.keyed import CipherSpec, KeyedCipher
from lpe.transforms.tables import megabytes, properties_html

_SAMPLE_IMAGES = 4096
_SAMPLE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class SplitForecast:
    """What a split would be.

    Attributes:
      examples: images.
      shards: files.
      bytes: of all its shards together.
      largest_shard: bytes of the largest one.
    """

    examples: int
    shards: int
    bytes: int
    largest_shard: int


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What an encryption would write and take.

    Attributes:
      splits: by name.
      plan_bytes: what all shards' descriptions take in the pipeline's graph.
      sample: images that were read and encrypted to measure; none of them was written.
      seconds: by phase (`read`, `transform`, `encode`), what the sample took on one core.
      peak_memory: bytes that this process took at most, a batch at work and the whole plan included.
    """

    splits: dict[str, SplitForecast]
    plan_bytes: int
    sample: int
    seconds: dict[str, float]
    peak_memory: int

    @property
    def examples(self) -> int:
        """Images of all splits."""
        return sum(split.examples for split in self.splits.values())

    @property
    def bytes(self) -> int:
        """Bytes of all splits."""
        return sum(split.bytes for split in self.splits.values())

    @property
    def images_per_second(self) -> float:
        """Of one core."""
        return self.sample / sum(self.seconds.values())

    @property
    def bytes_per_second(self) -> float:
        """Of one core."""
        return self.images_per_second * self.bytes / self.examples

    @property
    def core_seconds(self) -> float:
        """Seconds that one core would take for everything but waiting for storage."""
        return self.examples / self.images_per_second

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        rows = {
            name: f"{split.examples:,} images, {_size(split.bytes)}; shards: {split.shards:,}, at most "
            f"{_size(split.largest_shard)} each"
            for name, split in self.splits.items()
        }
        phases = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in self.seconds.items())
        speed = f"{self.images_per_second:,.0f} images/s, {self.bytes_per_second / 1e6:,.0f} MB/s"
        return rows | {
            "plan": f"{_size(self.plan_bytes)} in the pipeline's graph",
            "measured here": f"{self.sample:,} images on one core: {phases}",
            "a core does": speed,
            "all of it takes": f"{_duration(self.core_seconds)} of one core, and what storage takes",
            "peak memory": f"{_size(self.peak_memory)}, plan and a batch included",
        }

    def _repr_html_(self) -> str:
        return properties_html("encrypt, dry run", self.properties())

    def to_json(self) -> dict[str, Any]:
        """The forecast's part of `--json`."""
        return {
            "dry_run": True,
            "splits": {name: dataclasses.asdict(split) for name, split in self.splits.items()},
            "plan_bytes": self.plan_bytes,
            "sample": {"images": self.sample, "seconds": self.seconds},
            "images_per_second": round(self.images_per_second, 1),
            "bytes_per_second": round(self.bytes_per_second),
            "core_seconds": round(self.core_seconds, 4),
            "peak_memory": self.peak_memory,
        }


def forecast(
    read: ReadSpec,
    choice: CipherChoice,
    augmentation: Augmentation | None = None,
    file_format: FileFormat = "tfrecord",
) -> Forecast:
    """Plans an encryption and measures its first images; writes nothing.

    Args:
      read: the input.
      choice: how it would be encrypted.
      augmentation: copies that would be added before encryption; None for none.
      file_format: the kind of files that would be written.

    Raises:
      DataError: the source is missing, damaged or encrypted already, or its first images cannot be read.
      CipherError, UsageError: the images do not go with the cipher or the options.
    """
    check_scope(read, choice.scope)
    with open_plan(read, digest=False) as opened:
        opened.require_plain("decrypt it first")
        plan = augmented.with_copies(opened, augmentation)
        fmt, _ = stored_format(plan, choice, file_format)
        sample, size, seconds = _measured(plan, choice, fmt)
        splits: dict[str, SplitForecast] = {}
        plan_bytes = 0
        for task in plan.tasks:
            images = task.reader.expected()
            stored = images * size // sample
            so_far = splits.get(task.split, SplitForecast(0, 0, 0, 0))
            splits[task.split] = SplitForecast(
                so_far.examples + images,
                so_far.shards + 1,
                so_far.bytes + stored,
                max(so_far.largest_shard, stored),
            )
            plan_bytes += len(pickle.dumps(task))
    return Forecast(splits, plan_bytes, sample, seconds, _peak_memory())


def _measured(plan: Plan, choice: CipherChoice, fmt: RecordFormat) -> tuple[int, int, dict[str, float]]:
    """The number of images that were measured, their bytes as records, and seconds by phase."""
    cipher = KeyedCipher(CipherSpec(choice.name, "dry-run", choice.scope, choice.params), _RandomFunction())
    seal = DataKey(secrets.token_bytes(KEY_BYTES), "dry-run") if choice.seal else None

    def transform_and_encode(batch: ImageBatch) -> int:
        with watch.measuring("transform"):
            encrypted = cipher.encrypt(batch)
            stored = encrypted if seal is None else seal.seal(encrypted)
        with watch.measuring("encode"):
            data = records.encode(stored, fmt)
            tfrecord.extend_crc32c(0, data)
        return len(data)

    images = size = 0
    task = max(plan.tasks, key=lambda task: task.reader.expected())
    watch = Stopwatch()
    for batch in watch.measuring_each("read", task.reader.batches(fail(REPLACE_OR_SKIP))):
        if not images:
            transform_and_encode(batch)  # what is done once for all images is done now
            watch.seconds.pop("transform")
            watch.seconds.pop("encode")
        size += transform_and_encode(batch)
        images += len(batch)
        if images >= _SAMPLE_IMAGES or sum(watch.seconds.values()) > _SAMPLE_SECONDS:
            break
    return images, size, watch.seconds


class _RandomFunction:
    """A pseudo-random function under a key that nobody keeps."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def compute(self, context: bytes, length: int) -> bytes:
        return hashlib.shake_256(self._key + context).digest(length)


def _size(size: int) -> str:
    return megabytes(size) if size < 10_000_000_000 else f"{size / 1e9:,.1f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 3600:,.1f} hours"


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
