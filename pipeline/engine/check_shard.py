"""One shard read to its end and checked; independent of Beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import ShardIds, check_unique
from lpe.pipeline.encryption.batch_transforms import BatchFunction, BatchTransform
from lpe.pipeline.engine.equality import equal_examples
from lpe.pipeline.engine.failures import JobFailedError, fail_if_any
from lpe.pipeline.engine.stopwatch import Stopwatch
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError

_REMEDY = "restore the file from a copy or write the dataset again"


@dataclasses.dataclass
class CheckShard:
    """Reads a shard to its end and, where there is a counterpart, compares every example with it.

    Attributes:
      restore: makes plain images of what is read.
      counterparts: the plain shard of each (split, index); None for no such comparison.
    """

    restore: BatchTransform
    counterparts: dict[tuple[str, int], Reader] | None

    def setup(self) -> None:
        """Opens the batch transform, which fetches its key."""
        self._restore: BatchFunction = self.restore.open()

    def run(self, task: ShardTask) -> ShardReceipt:
        """Checks the shard. Raises DataError for what is wrong with it."""
        watch = Stopwatch()
        with watch.measuring("check"):
            where = f"{task.split} shard {task.index}"
            ids = ShardIds(where)
            restored = self._restored(task.reader, ids, watch)
            if self.counterparts is not None:
                counterpart = self.counterparts[task.split, task.index].batches(fail(_REMEDY))
                examples = _compare(where, restored, counterpart)
            else:
                examples = sum(len(batch) for batch in restored)
            digests = ids.digests()
        return ShardReceipt(task.split, task.index, None, images=examples, seconds=watch.seconds, ids=digests)

    def _restored(self, reader: Reader, ids: ShardIds, watch: Stopwatch) -> Iterator[ImageBatch]:
        for batch in watch.measuring_each("read", reader.batches(fail(_REMEDY))):
            with watch.measuring("transform"):
                restored = self._restore(batch)
            ids.add(restored.ids)
            yield restored


def check_all(receipts: list[ShardReceipt]) -> None:
    """The last step of a check: raises JobFailedError if a shard is not right, or an id occurs in two of them."""
    fail_if_any(receipts)
    try:
        check_unique(receipt.ids for receipt in receipts)
    except DataError as error:
        raise JobFailedError([str(error)], sum(receipt.images for receipt in receipts)) from error


def _compare(where: str, restored: Iterator[ImageBatch], plain: Iterator[ImageBatch]) -> int:
    """Compares two shards example by example; how many there are. Raises DataError where they differ."""
    examples = 0
    for ours, theirs in _aligned(restored, plain):
        if ours.images.shape != theirs.images.shape:
            raise DataError(f"{where}: example {examples} has another shape than the plain one")
        same = equal_examples(ours, theirs)
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
        yield a[:count], b[:count]
        a, b = a[count:], b[count:]
