"""Samples of a plan's images, for pictures and statistics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from lpe.pipeline.dataset.reader import ShardReader
from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, fail
from lpe.pipeline.sources.plan import Plan
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError


def examples(plan: Plan, split: str | None) -> Iterator[ImageBatch]:
    """The examples of a split (default: `test` or else the first one), each as a batch of one.

    Raises:
      DataError: there is no such split, or an image cannot be read.
    """
    wanted = split or ("test" if "test" in plan.splits else plan.splits[0])
    if wanted not in plan.splits:
        raise DataError(f"no split {wanted!r}; there is {', '.join(plan.splits)}")
    for task in plan.tasks:
        if task.split == wanted:
            if isinstance(task.reader, ShardReader) and task.reader.authenticated:
                task.reader.check()  # what its owner wrote, though not all of it may be read
            for batch in task.reader.batches(fail(REPLACE_OR_SKIP)):
                for i in range(len(batch)):
                    part = slice(i, i + 1)
                    yield ImageBatch(batch.ids[part], batch.images[part], batch.labels[part])


def first_images(plan: Plan, split: str | None, count: int) -> np.ndarray:
    """The first `count` images of a split, uint8 [N, H, W, C].

    Raises:
      DataError: as for `examples`.
      ValueError: the images differ in shape.
    """
    return np.concatenate([example.images for example in itertools.islice(examples(plan, split), count)])


def first_examples(plan: Plan, split: str | None, count: int) -> ImageBatch:
    """The first `count` examples of a split (default: the one with most of them).

    Raises:
      DataError: as for `examples`.
      ValueError: the images differ in shape.
    """
    if split is None:
        sizes = dict.fromkeys(plan.splits, 0)
        for task in plan.tasks:
            sizes[task.split] += task.reader.expected()
        split = max(sizes, key=lambda name: sizes[name])
    chosen = list(itertools.islice(examples(plan, split), count))
    return ImageBatch(
        [image_id for example in chosen for image_id in example.ids],
        np.concatenate([example.images for example in chosen]),
        np.concatenate([example.labels for example in chosen]),
    )


def one_of_each_class(plan: Plan, split: str | None, count: int) -> list[ImageBatch]:
    """Up to `count` examples, each a batch of one: the first of each class, then whatever comes first.

    Raises:
      DataError: as for `examples`.
    """
    first: dict[int, ImageBatch] = {}
    others: list[ImageBatch] = []
    # A few hundred images are enough to meet most classes.
    for example in itertools.islice(examples(plan, split), max(1000, count)):
        label = int(example.labels[0])
        if label not in first:
            first[label] = example
        elif len(others) < count:
            others.append(example)
        if len(first) >= count:
            break
    by_class = [first[label] for label in sorted(first)]
    return (by_class + others)[:count]
