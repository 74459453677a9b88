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
from collections.abc import Callable
from typing import Any

from lpe.pipeline import records
from lpe.pipeline.dataset.reader import BATCH_SIZE
from lpe.pipeline.encryption.reduced_reader import reduced_for_show
from lpe.pipeline.encryption.reduction import given_chain
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.jobs.choice import stored_format
from lpe.pipeline.jobs.spec import CipherChoice
from lpe.pipeline.records import FileFormat, RecordFormat, tfrecord
from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, OnBadRecord, fail
from lpe.pipeline.seal.data_key import KEY_BYTES, DataKey
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import Plan, ReadSpec, check_scope, open_plan
from lpe.pipeline.sources.task import SliceReader
from lpe.transforms.augment import Augmentation
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError
from lpe.transforms.keyed import CipherSpec, KeyedCipher
from lpe.transforms.tables import megabytes, properties_html

_SAMPLE_IMAGES = 4096
_SAMPLE_SECONDS = 1.0
_FAIL = fail(REPLACE_OR_SKIP)


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
            name: f"{split.examples:,} images, {size_text(split.bytes)}; shards: {split.shards:,}, at most "
            f"{size_text(split.largest_shard)} each"
            for name, split in self.splits.items()
        }
        phases = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in self.seconds.items())
        speed = f"{self.images_per_second:,.0f} images/s, {self.bytes_per_second / 1e6:,.0f} MB/s"
        return rows | {
            "plan": f"{size_text(self.plan_bytes)} in the pipeline's graph",
            "measured here": f"{self.sample:,} images on one core: {phases}",
            "a core does": speed,
            "all of it takes": f"{time_text(self.core_seconds)} of one core, and what storage takes",
            "peak memory": f"{size_text(self.peak_memory)}, plan and a batch included",
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
        plan = reduced_for_show(opened, given_chain(choice.reduction))
        return forecast_of(augmented.with_copies(plan, augmentation), choice, file_format)


def forecast_of(
    plan: Plan,
    choice: CipherChoice | None,
    file_format: FileFormat = "tfrecord",
    *,
    on_bad_record: OnBadRecord = _FAIL,
    batch_size: int = BATCH_SIZE,
) -> Forecast:
    """The forecast of a plan of plain images.

    Args:
      choice: how they would be encrypted; None for storing them as they are, as `ingest` does.
      file_format: the kind of files that would be written.
      on_bad_record: called for each bad one among the first images.
      batch_size: the most images of a source in a batch, for those that take long to decode.

    Raises:
      DataError: none of the first images can be read.
      CipherError, UsageError: the images do not go with the cipher or the options.
    """
    fmt = plan.output_format(file_format) if choice is None else stored_format(plan, choice, file_format)[0]
    sample, size, seconds = _measured(plan, choice, fmt, on_bad_record, batch_size)
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


def _measured(
    plan: Plan, choice: CipherChoice | None, fmt: RecordFormat, on_bad_record: OnBadRecord, batch_size: int
) -> tuple[int, int, dict[str, float]]:
    """The number of images that were measured, their bytes as records, and seconds by phase."""
    transform = _transform(choice) if choice is not None else None

    def transform_and_encode(batch: ImageBatch) -> int:
        if transform is not None:
            with watch.measuring("transform"):
                batch = transform(batch)
        with watch.measuring("encode"):
            data = records.encode(batch, fmt)
            tfrecord.extend_crc32c(0, data)
        return len(data)

    images = size = 0
    task = max(plan.tasks, key=lambda task: task.reader.expected())
    reader = task.reader
    if isinstance(reader, SliceReader):
        reader = dataclasses.replace(reader, batch_size=batch_size)
    watch = Stopwatch()
    for batch in watch.measuring_each("read", reader.batches(on_bad_record)):
        if not images:
            transform_and_encode(batch)  # what is done once for all images is done now
            watch.seconds = {"read": watch.seconds["read"]}
        size += transform_and_encode(batch)
        images += len(batch)
        if images >= _SAMPLE_IMAGES or sum(watch.seconds.values()) > _SAMPLE_SECONDS:
            break
    if not images:
        raise DataError(f"{plan.source}: none of the first images can be read")
    return images, size, watch.seconds


def _transform(choice: CipherChoice) -> Callable[[ImageBatch], ImageBatch]:
    """Encryption, and the seal if there is to be one, under keys that nobody keeps."""
    cipher = KeyedCipher(CipherSpec(choice.name, "dry-run", choice.scope, choice.params), _RandomFunction())
    if not choice.seal:
        return cipher.encrypt
    seal = DataKey(secrets.token_bytes(KEY_BYTES), "dry-run")
    return lambda batch: seal.seal(cipher.encrypt(batch))


class _RandomFunction:
    """A pseudo-random function under a key that nobody keeps."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def compute(self, context: bytes, length: int) -> bytes:
        return hashlib.shake_256(self._key + context).digest(length)


def size_text(size: int) -> str:
    """A size in bytes as people read it."""
    return megabytes(size) if size < 10_000_000_000 else f"{size / 1e9:,.1f} GB"


def time_text(seconds: float) -> str:
    """A duration as people read it."""
    if seconds < 1:
        return "under 1 s"
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 3600:,.1f} hours"


def _peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
