"""The metrics of a finished job: what its shards held, and where the time went."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from lpe.pipeline.dataset.receipt import ShardReceipt

PHASES = ("read", "transform", "check", "write")
"""The phases of a shard's work, in order."""


@dataclasses.dataclass(frozen=True)
class Seconds:
    """The seconds of a phase: of all shards and workers together; of the shortest, mean and longest shard."""

    total: float
    shortest: float
    mean: float
    longest: float


@dataclasses.dataclass(frozen=True)
class JobMetrics:
    """A finished job's metrics.

    Attributes:
      shards: those of the job, finished in this run or found finished.
      kept_shards: those of them that an earlier run had finished, or workers that were lost.
      images, bytes: in all these shards; bytes of what was written.
      bad_records: images that were left out.
      seconds: by phase (`read`, `transform`, `check`, `write`), of the shards that this run finished.
    """

    shards: int
    kept_shards: int
    images: int
    bytes: int
    bad_records: int
    seconds: Mapping[str, Seconds]

    def to_json(self) -> dict[str, Any]:
        """The `metrics` of `--json`."""
        value = dataclasses.asdict(self)
        for phase in value["seconds"].values():
            phase.update({name: round(seconds, 3) for name, seconds in phase.items()})
        return value

    def __str__(self) -> str:
        """The work of all workers together: `8 shards; all workers together: read 0.12 s, transform 0.31 s, …`."""
        kept = f", {self.kept_shards:,} of them finished before" if self.kept_shards else ""
        phases = ", ".join(f"{phase} {seconds.total:,.2f} s" for phase, seconds in self.seconds.items())
        return f"{self.shards:,} shards{kept}" + (f"; all workers together: {phases}" if phases else "")


def total(receipts: Iterable[ShardReceipt]) -> JobMetrics:
    """The metrics of a job by its receipts. Shards that failed do not count."""
    done = [receipt for receipt in receipts if receipt.failure is None]
    times = {phase: [r.seconds[phase] for r in done if phase in r.seconds] for phase in PHASES}
    return JobMetrics(
        shards=len(done),
        kept_shards=sum(receipt.kept for receipt in done),
        images=sum(receipt.images for receipt in done),
        bytes=sum(receipt.shard.bytes for receipt in done if receipt.shard is not None),
        bad_records=sum(len(receipt.bad) for receipt in done),
        seconds={
            phase: Seconds(sum(spent), min(spent), sum(spent) / len(spent), max(spent))
            for phase, spent in times.items()
            if spent
        },
    )
