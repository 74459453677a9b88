"""The shards that were appended to a plain dataset since it was encrypted, as a plan."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.numbers import NumberRange
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan
from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class AppendedShards:
    """The new shards of a plain dataset.

    Attributes:
      plan: reads them; they are numbered from 0 in each split.
      numbers: of each split that has some, the numbers in the ids of their images.
      contents: of each such split, SHA-256 (hex) over the checksums of its first n new shards, for n from 1 on.
    """

    plan: Plan
    numbers: Mapping[str, NumberRange]
    contents: Mapping[str, tuple[str, ...]]


@contextlib.contextmanager
def open_appended(
    spec: ReadSpec, encrypted: Dataset, source_digest: str, numbers: Mapping[str, int]
) -> Iterator[AppendedShards]:
    """Opens a plain dataset, and finds the shards that were appended since it was encrypted.

    Args:
      spec: the plain dataset.
      encrypted: what was encrypted of it.
      source_digest: of what was encrypted.
      numbers: of each split, the number after those of the images that were.

    Raises:
      DataError: it does not begin with what was encrypted, or does not say which numbers its ids have.
    """
    with open_plan(spec) as plan:
        plan.require_plain("name the plain dataset that it was made from")
        data = plan.dataset
        assert data is not None  # a source `dataset:` is one
        made = {
            name: len(split.shard_lengths)
            for name, split in encrypted.splits.items()
            if data.augmentation is not None
            or name not in encrypted.copy_splits  # copies that it has itself were encrypted as others
        }
        if not {*made} <= {*data.splits} or data.digest(made) != source_digest:
            raise DataError(
                f"{data.directory}: does not begin with what {encrypted.directory} was encrypted from; add to that "
                "with lpe ingest --append, or name the images themselves, e.g. folder:PATH"
            )
        tasks = tuple(
            dataclasses.replace(task, index=task.index - made.get(task.split, 0))
            for task in plan.tasks
            if task.index >= made.get(task.split, 0)
        )
        ranges = {task.split: _range(data, task.split, numbers) for task in tasks}
        contents = {
            split: _contents(
                [str(shard.sha256) for shard in (data.shards(split) or ())[made.get(split, 0) :]]
            )
            for split in ranges
        }
        yield AppendedShards(dataclasses.replace(plan, tasks=tasks), ranges, contents)


def _range(data: Dataset, split: str, numbers: Mapping[str, int]) -> NumberRange:
    after = data.numbers.get(split)
    if after is None:
        raise DataError(
            f"{data.directory}: nobody recorded which numbers the ids of {split} have, or they are names; encrypt all "
            "of it into another home"
        )
    return NumberRange(numbers.get(split, 0), after)


def _contents(checksums: list[str]) -> tuple[str, ...]:
    whole = hashlib.sha256()
    contents = []
    for checksum in checksums:
        whole.update(checksum.encode())
        contents.append(whole.hexdigest())
    return tuple(contents)
