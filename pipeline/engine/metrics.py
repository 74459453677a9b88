"""What a job counts while it runs, wherever it runs: Beam counters and distributions, and what `lpe` shows of them.

A runner adds them up. One that repeats work that was lost may count it twice: they tell about the work that was
done, the manifest tells what was written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from lpe.pipeline.dataset.writer import ShardReceipt

_NAMESPACE = "lpe"
_COUNTERS = ("shards", "kept_shards", "images", "bytes", "bad_records")
_STAGES = ("read", "transform", "check", "write")
_MILLISECONDS = "_ms"  # distributions are of whole numbers


@dataclasses.dataclass(frozen=True)
class Seconds:
    """What a stage took: over all shards and workers together; the shortest, mean and longest shard."""

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
      seconds: by stage (`read`, `transform`, `check`, `write`), of the shards that this run finished.
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
        for stage in value["seconds"].values():
            stage.update({name: round(seconds, 3) for name, seconds in stage.items()})
        return value


class ShardCounters:
    """Counts what becomes of shards; lives in a DoFn."""

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
        for stage, seconds in receipt.seconds.items():
            Metrics.distribution(_NAMESPACE, stage + _MILLISECONDS).update(round(1000 * seconds))


def of(result: PipelineResult) -> JobMetrics | None:
    """The metrics of a finished pipeline; None where the runner has none to give."""
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))
        counters: dict[str, int] = {}
        for each in found["counters"]:
            name = each.key.metric.name
            counters[name] = counters.get(name, 0) + int(each.result or 0)  # None for a committed 0
        times = {each.key.metric.name: _seconds(each.result) for each in found["distributions"]}
    except Exception:  # a job that is done is not spoiled by a service that lost count of it
        return None
    seconds = {stage: times[stage + _MILLISECONDS] for stage in _STAGES if stage + _MILLISECONDS in times}
    return JobMetrics(**{name: counters.get(name, 0) for name in _COUNTERS}, seconds=seconds)


def _seconds(found: Any) -> Seconds:
    return Seconds(
        found.sum / 1000, found.min / 1000, found.sum / max(1, found.count) / 1000, found.max / 1000
    )
