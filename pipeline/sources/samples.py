"""A few images of an input, for pictures and statistics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, fail
from lpe.pipeline.sources.plan import Plan
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError


def examples(source: Plan, split: str | None) -> Iterator[ImageBatch]:
    """The examples of a split (`test` or else the first one), one at a time.

    Raises:
      DataError: there is no such split, or an image cannot be read.
    """
    wanted = split or ("test" if "test" in source.splits else source.splits[0])
    if wanted not in source.splits:
        raise DataError(f"no split {wanted!r}; there is {', '.join(source.splits)}")
    for task in source.tasks:
        if task.split == wanted:
            for batch in task.reader.batches(fail(REPLACE_OR_SKIP)):
                for i in range(len(batch)):
                    part = slice(i, i + 1)
                    yield ImageBatch(batch.ids[part], batch.images[part], batch.labels[part])


def first_images(source: Plan, split: str | None, count: int) -> np.ndarray:
    """The first `count` images of a split, uint8 [N, H, W, C]; all of one shape."""
    return np.concatenate([example.images for example in itertools.islice(examples(source, split), count)])


def first_examples(source: Plan, split: str | None, count: int) -> ImageBatch:
    """The first `count` examples of a split (default: the one with most of them); all of one shape."""
    if split is None:
        sizes = dict.fromkeys(source.splits, 0)
        for task in source.tasks:
            sizes[task.split] += task.reader.expected()
        split = max(sizes, key=lambda name: sizes[name])
    found = list(itertools.islice(examples(source, split), count))
    return ImageBatch(
        [name for example in found for name in example.ids],
        np.concatenate([example.images for example in found]),
        np.concatenate([example.labels for example in found]),
    )


def one_of_each_class(source: Plan, split: str | None, count: int) -> list[ImageBatch]:
    """`count` examples: the first of each class, then whatever comes first."""
    first: dict[int, ImageBatch] = {}
    others: list[ImageBatch] = []
    # A few hundred images are enough to meet most classes.
    for example in itertools.islice(examples(source, split), max(1000, count)):
        label = int(example.labels[0])
        if label not in first:
            first[label] = example
        elif len(others) < count:
            others.append(example)
        if len(first) >= count:
            break
    by_class = [first[label] for label in sorted(first)]
    return (by_class + others)[:count]
