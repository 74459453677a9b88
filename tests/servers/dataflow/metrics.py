"""A finished pipeline's metrics, as Dataflow's API tells them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.metrics.execution import MetricResult
from apache_beam.metrics.metric import MetricResults
from apache_beam.runners.runner import PipelineResult

from tests.servers.dataflow.job import now

_FIELDS = ("min", "max", "count", "sum")


def updates(result: PipelineResult) -> list[dict[str, Any]]:
    """Every user metric twice, committed and tentative, as a job that is done has them; and one of the service's."""
    found = result.metrics().query()
    out = [_update("TotalVcpuTime", "dataflow/v1b3", {}, scalar=1.0)]
    for each in found[MetricResults.COUNTERS]:
        out += _twice(each, each.key.metric.name, scalar=each.result)
    for each in found[MetricResults.DISTRIBUTIONS]:
        values = {field: getattr(each.result, field) for field in _FIELDS}
        name = each.key.metric.name
        out += _twice(each, name, distribution=values)
        # The service tells a distribution a second time, in pieces for its own pages.
        for field in _FIELDS[:3]:
            out += _twice(each, f"{name}_{field.upper()}", scalar=values[field])
        out += _twice(each, f"{name}_MEAN", scalar=values["sum"] / max(1, values["count"]))
    return out


def _twice(each: MetricResult, name: str, **value: Any) -> Iterator[dict[str, Any]]:
    context = {"namespace": each.key.metric.namespace, "step": each.key.step}
    yield _update(name, "user", context, **value)
    yield _update(name, "user", {**context, "tentative": "true"}, **value)


def _update(name: str, origin: str, context: dict[str, str], **value: Any) -> dict[str, Any]:
    structured = {"origin": origin, "name": name, "context": context}
    return {"name": structured, "cumulative": True, "updateTime": now(), **value}
