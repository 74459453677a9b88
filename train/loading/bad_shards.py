"""Shards that are missing or damaged, found before the first epoch, so that all epochs leave out the same ones."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from lpe.pipeline import storage
from lpe.train.loading.files import ShardFiles
from lpe.train.progress import Status
from lpe.transforms.errors import DamagedError, DataError, UsageError

OnBadShard = Literal["fail", "skip"]

_LOG = logging.getLogger("lpe")
_THREADS = 4


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """The shards that are left out because they are missing or damaged.

    Attributes:
      shards: their numbers, by split.
      files: their names, sorted.
      examples: how many they hold, by split.
    """

    shards: Mapping[str, frozenset[int]] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()
    examples: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def figures(self) -> dict[str, int]:
        """Their number and that of the images in them, for a line of metrics."""
        return {"bad_shards": len(self.files), "bad_shard_images": sum(self.examples.values())}

    def of(self, *splits: str) -> frozenset[int]:
        """The numbers of those that are bad in any of the splits."""
        return frozenset().union(*(self.shards.get(split, frozenset()) for split in splits))


def check_choice(on_bad_shard: str) -> None:
    """Raises UsageError for what is neither `fail` nor `skip`."""
    if on_bad_shard not in ("fail", "skip"):
        raise UsageError(f"on_bad_shard={on_bad_shard!r}: give fail or skip")


def to_leave_out(files: ShardFiles, status: Status | None = None) -> LeftOut:
    """The bad shards of all splits that are trained on or validated with; see `find`."""
    used = ("train", *files.dataset.copies("train"), "validation")
    return find(files, [split for split in used if split in files.dataset.splits], status)


def find(files: ShardFiles, splits: Sequence[str], status: Status | None = None) -> LeftOut:
    """Reads all shards of some splits, and warns of each one that is missing or damaged.

    Args:
      files: the dataset's; those in a bucket are fetched.
      splits: their names.
      status: called after each shard.

    Raises:
      DataError: no such split, or a shard cannot be fetched or kept for a reason not its own, e.g. no permission.
    """
    places = [(split, i) for split in splits for i in range(len(files.dataset.shard_paths(split)))]
    problems = {}
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(functools.partial(_problem, files), places)
        for done, (place, problem) in enumerate(zip(places, found, strict=True), 1):
            if status is not None:
                status(f"checking shards: {done:,} of {len(places):,}")
            if problem is not None:
                problems[place] = problem
                _LOG.warning("warning: left out: %s", problem)
    lengths = {split: files.dataset.splits[split].shard_lengths for split in splits}
    shards = {split: frozenset(i for s, i in problems if s == split) for split in splits}
    return LeftOut(
        shards=shards,
        files=tuple(sorted(storage.base_name(files.dataset.shard_path(split, i)) for split, i in problems)),
        examples={split: sum(lengths[split][i] for i in shards[split]) for split in splits},
    )


def _problem(files: ShardFiles, place: tuple[str, int]) -> str | None:
    """What is wrong with a shard; None if nothing is."""
    reader = files.reader(*place)
    try:
        # Its own fault, or the bucket's or the cache's, which has to be mended.
        reader.open_shard(reader.path, reader.recorded).close()
    except DamagedError as error:
        return str(error)
    try:
        if reader.recorded is not None:
            reader.check()
        else:
            for _ in files.batches(*place):
                pass
    except DataError as error:
        return str(error)
    return None
