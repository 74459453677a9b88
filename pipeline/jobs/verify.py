"""verify: is a dataset whole, is it under the key it names, does it decrypt to the plain one?"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.dataset.writer import ShardReceipt
from lpe.pipeline.encryption.batch_transforms import BatchFunction, BatchTransform, Decrypt, Identity
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.engine import runners, shard_pipeline
from lpe.pipeline.engine.beam_options import beam_options
from lpe.pipeline.engine.failures import ShardsFailedError
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import plan_dataset
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found: examples read, and one line per problem."""

    dataset: Dataset
    examples: int
    problems: tuple[str, ...]
    compared: bool
    seconds: float
    metrics: JobMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "dataset": self.dataset.directory,
            "splits": {name: split.summary() for name, split in self.dataset.splits.items()},
            "examples": self.examples,
            "compared": self.compared,
            "ok": not self.problems,
            "problems": list(self.problems),
            "metrics": self.metrics.to_json() if self.metrics is not None else None,
        }


def verify(
    path: str, keystore: str | None = None, against: str | None = None, beam: Sequence[str] = ()
) -> Verification:
    """Reads every record of a dataset and checks what can be checked.

    Always: metadata, sizes, checksums, counts, labels, unique ids within a shard. With a key store:
    that the key is the dataset's, and that every sealed image opens. With `against`: that every image,
    decrypted if need be, equals the one of that plain dataset.

    Args:
      path: a dataset home or version directory.
      keystore: the key store's URI.
      against: a plain dataset's home or version directory.

    Raises:
      DataError: there is no dataset at a path, or the two cannot be compared.
      KeyStoreError: the key store or the key cannot be opened.
    """
    started = time.monotonic()
    options = beam_options(beam)
    runners.check_waited_for(options, "verify")
    path = runners.on_workers(options, path)
    keystore, against = (each and runners.on_workers(options, each) for each in (keystore, against))
    data = open_dataset(path)
    stage: BatchTransform = Identity()
    if data.encryption is not None:
        encryption = Encryption.from_json(data.encryption, data.directory)
        if keystore is not None:
            encryption.open_key(keystore)
            if against is not None or encryption.seal is not None:
                stage = Decrypt(keystore, encryption, len(data.class_names))
        elif against is not None:
            raise DataError(
                f"{data.directory}: comparing an encrypted dataset needs its key; pass --keystore"
            )
    plain = None if against is None else _counterparts(data, open_dataset(against))
    source = plan_dataset(data)
    problems: tuple[str, ...] = ()
    counted = None
    # A shard without a failure was read to its end and held what it must.
    examples = source.examples
    try:
        counted = shard_pipeline.run(
            source.tasks, CheckShard(stage, plain), shard_pipeline.fail_if_any, options=options
        )
    except ShardsFailedError as error:
        problems, examples = tuple(error.reasons), error.images
        if error.count > len(problems):
            problems += (f"and {error.count - len(problems)} more like these",)
    seconds = time.monotonic() - started
    return Verification(data, examples, problems, against is not None, seconds, counted)


def _counterparts(data: Dataset, plain: Dataset) -> dict[tuple[str, int], Reader]:
    if plain.encrypted:
        raise DataError(f"{plain.directory}: this dataset is encrypted too; name a plain one after --against")
    source = plan_dataset(plain)
    if data.augmentation is not None and plain.augmentation is None:
        source = augmented.with_copies(source, augmented.from_json(data.augmentation))
    theirs: dict[str, list[int]] = {}
    for task in source.tasks:
        theirs.setdefault(task.split, []).append(task.reader.expected())
    if {name: list(split.shard_lengths) for name, split in data.splits.items()} != theirs:
        raise DataError(
            f"{data.directory} and {plain.directory} differ in splits or shards, so that one was not made from "
            "the other; name the dataset that was encrypted"
        )
    return {(task.split, task.index): task.reader for task in source.tasks}


@dataclasses.dataclass
class CheckShard:
    """Reads a shard to its end and, where there is a counterpart, compares every example with it.

    Attributes:
      stage: restores the plain images.
      plain: the plain shard of each (split, index), or None.
    """

    stage: BatchTransform
    plain: dict[tuple[str, int], Reader] | None

    def setup(self) -> None:
        self._function: BatchFunction = self.stage.open()

    def run(self, task: ShardTask) -> ShardReceipt:
        watch = Stopwatch()
        with watch.measuring("check"):
            restored = self._restored(task.reader, watch)
            if self.plain is not None:
                counterpart = self.plain[task.split, task.index]
                examples = _compare(f"{task.split} shard {task.index}", restored, counterpart)
            else:
                examples = 0
                ids: set[str] = set()
                for batch in restored:
                    examples += len(batch)
                    ids.update(batch.ids)
                if len(ids) != examples:
                    raise DataError(f"{task.split} shard {task.index}: {examples - len(ids)} ids occur twice")
        return ShardReceipt(task.split, task.index, None, images=examples, seconds=watch.seconds)

    def _restored(self, reader: Reader, watch: Stopwatch) -> Iterator[ImageBatch]:
        for batch in watch.each("read", reader.batches(_raise)):
            with watch.measuring("transform"):
                restored = self._function(batch)
            yield restored


def _raise(record: BadRecord) -> NoReturn:
    raise DataError(f"{record.where}: {record.reason}")


def _compare(where: str, restored: Iterator[ImageBatch], counterpart: Reader) -> int:
    """Compares two shards example by example; how many there are. Raises DataError where they differ."""
    examples = 0
    for ours, theirs in _aligned(restored, counterpart.batches(_raise)):
        if ours.images.shape != theirs.images.shape:
            raise DataError(f"{where}: example {examples} has another shape than the plain one")
        same = (ours.images == theirs.images).reshape(len(ours), -1).all(axis=1)
        same &= ours.labels == theirs.labels
        same &= np.array(ours.ids) == np.array(theirs.ids)
        if not same.all():
            first = int(same.argmin())
            raise DataError(
                f"{where}: {int((~same).sum())} of {len(same)} examples from {examples} on differ from the plain "
                f"ones, first {ours.ids[first]}; encrypt again from the right dataset"
            )
        examples += len(ours)
    return examples


def _aligned(
    first: Iterator[ImageBatch], second: Iterator[ImageBatch]
) -> Iterator[tuple[ImageBatch, ImageBatch]]:
    """Both streams cut into batches of equal lengths."""
    a = b = None
    while True:
        a = a if a is not None and len(a) else next(first, None)
        b = b if b is not None and len(b) else next(second, None)
        if a is None or b is None:
            if a is not b:
                raise DataError("one shard has more examples than the other")
            return
        count = min(len(a), len(b))
        yield _part(a, 0, count), _part(b, 0, count)
        a, b = _part(a, count, len(a)), _part(b, count, len(b))


def _part(batch: ImageBatch, start: int, stop: int) -> ImageBatch:
    return ImageBatch(batch.ids[start:stop], batch.images[start:stop], batch.labels[start:stop])
