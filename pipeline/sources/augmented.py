"""Augmented copies of a split as further splits: `train_augmented_1`, `train_augmented_2` and so on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from lpe.pipeline.dataset.layout import copy_split
from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.plan import Plan
from lpe.pipeline.sources.task import ShardTask
from lpe.transforms.augment import Augmentation
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import UsageError

SPLIT = "train"
"""The split that is augmented: what a network is measured on stays as it is."""


@dataclasses.dataclass(frozen=True)
class AugmentedReader:
    """The reader of another one's images, augmented; ids and labels stay as they are.

    Attributes:
      reader: reads plain images.
      augmentation: what is done to an image.
      copy: which copy this is, from 1.
    """

    reader: Reader
    augmentation: Augmentation
    copy: int

    def expected(self) -> int:
        """See `Reader`."""
        return self.reader.expected()

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`."""
        for batch in self.reader.batches(on_bad_record):
            yield self.augmentation.apply(batch, self.copy)


def with_copies(plan: Plan, augmentation: Augmentation | None) -> Plan:
    """The plan with augmented copies of its training images added; itself without an augmentation.

    Raises:
      UsageError: it has no training images, or has such copies already.
    """
    if augmentation is None:
        return plan
    if SPLIT not in plan.splits:
        raise UsageError(f"augmentation needs a split {SPLIT!r}; there is {', '.join(plan.splits)}")
    added = tuple(
        ShardTask(name, task.index, task.count, AugmentedReader(task.reader, augmentation, copy))
        for copy in range(1, augmentation.copies + 1)
        if (name := copy_split(SPLIT, copy))
        for task in plan.tasks
        if task.split == SPLIT
    )
    taken = {task.split for task in added} & set(plan.splits)
    if taken:
        raise UsageError(f"the dataset has augmented copies already: {', '.join(sorted(taken))}")
    return dataclasses.replace(plan, tasks=plan.tasks + added)


def to_json(augmentation: Augmentation) -> dict[str, Any]:
    """What encryption.json says of the copies."""
    return {"split": SPLIT, **dataclasses.asdict(augmentation)}


def from_json(value: Mapping[str, Any]) -> Augmentation:
    """The inverse of `to_json`."""
    return Augmentation(tuple(value["kinds"]), value["copies"], value["seed"])
