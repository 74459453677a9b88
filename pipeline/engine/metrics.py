"""A job's metrics: Beam counters and distributions while it runs, and their totals when it has ended.

A runner adds them up. One that repeats work that was lost may count it twice: they tell about the work that was
done, the manifest tells what was written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from lpe.pipeline.dataset.receipt import ShardReceipt

_NAMESPACE = "lpe"
_COUNTERS = ("shards", "kept_shards", "images", "bytes", "bad_records")
_PHASES = ("read", "transform", "check", "write")
_MILLISECONDS = "_ms"  # distributions are of whole numbers


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


class ShardCounters:
    """Counters of what becomes of shards, for a DoFn; they travel with it and are added up by the runner."""

    def __init__(self) -> None:
        self._counters = {name: Metrics.counter(_NAMESPACE, name) for name in _COUNTERS}

    def count(self, receipt: ShardReceipt) -> None:
        """Counts one shard. One that failed does not count."""
        if receipt.failure is not None:
            return
        self._counters["shards"].inc()
        if receipt.kept:
            self._counters["kept_shards"].inc()
        self._counters["images"].inc(receipt.images)
        self._counters["bytes"].inc(receipt.shard.bytes if receipt.shard is not None else 0)
        self._counters["bad_records"].inc(len(receipt.bad))
        for phase, seconds in receipt.seconds.items():
            Metrics.distribution(_NAMESPACE, phase + _MILLISECONDS).update(round(1000 * seconds))


def collect_metrics(result: PipelineResult) -> JobMetrics | None:
    """The metrics of a finished pipeline; None where the runner has none to give."""
    try:
        queried = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))
        counters: dict[str, int] = {}
        for counter in queried["counters"]:
            name = counter.key.metric.name
            counters[name] = counters.get(name, 0) + int(counter.result or 0)  # None for a committed 0
        times = {timer.key.metric.name: _seconds(timer.result) for timer in queried["distributions"]}
    except Exception:  # a job that is done is not spoiled by a service that lost count of it
        return None
    seconds = {phase: times[phase + _MILLISECONDS] for phase in _PHASES if phase + _MILLISECONDS in times}
    return JobMetrics(**{name: counters.get(name, 0) for name in _COUNTERS}, seconds=seconds)


def _seconds(milliseconds: Any) -> Seconds:
    mean = milliseconds.sum / max(1, milliseconds.count)
    return Seconds(milliseconds.sum / 1000, milliseconds.min / 1000, mean / 1000, milliseconds.max / 1000)
