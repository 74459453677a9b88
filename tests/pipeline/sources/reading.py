"""Reading a source as a job does."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, fail
from lpe.pipeline.sources.base import Source

failing = fail(REPLACE_OR_SKIP)


@dataclasses.dataclass(frozen=True)
class Everything:
    names: list[str]
    images: np.ndarray
    labels: np.ndarray


def everything(source: Source, split: str) -> Everything:
    """All images of a split, of one shape."""
    count = source.info.splits[split]
    batches = list(source.slice(split, np.arange(count)).batches(7, fail(REPLACE_OR_SKIP)))
    assert np.concatenate([batch.offsets for batch in batches]).tolist() == list(range(count))
    return Everything(
        [name for batch in batches for name in batch.names],
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
    )
