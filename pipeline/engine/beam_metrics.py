"""A job's metrics in Beam: counters and distributions while it runs, and their totals when it has ended.

A runner adds them up. One that repeats work that was lost may count it twice: they tell about the work that was
done, the manifest tells what was written.
"""

from __future__ import annotations

from typing import Any

from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.engine.metrics import PHASES, JobMetrics, Seconds

_NAMESPACE = "lpe"
_COUNTERS = ("shards", "kept_shards", "images", "bytes", "bad_records")
_MILLISECONDS = "_ms"  # distributions are of whole numbers


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
    seconds = {phase: times[phase + _MILLISECONDS] for phase in PHASES if phase + _MILLISECONDS in times}
    return JobMetrics(**{name: counters.get(name, 0) for name in _COUNTERS}, seconds=seconds)


def _seconds(milliseconds: Any) -> Seconds:
    mean = milliseconds.sum / max(1, milliseconds.count)
    return Seconds(milliseconds.sum / 1000, milliseconds.min / 1000, mean / 1000, milliseconds.max / 1000)
