"""A second belongs to the innermost phase."""

from __future__ import annotations

from lpe.pipeline.engine import stopwatch
from lpe.pipeline.engine.stopwatch import Stopwatch


def test_nested_phases_share_no_time(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 6.0, 6.0, 10.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch.measuring("write"):
        with watch.measuring("transform"):
            pass
        with watch.measuring("check"):
            pass
    assert watch.seconds == {"write": 1.0 + 3.0 + 4.0, "transform": 2.0, "check": 0.0}


def test_getting_items_is_timed_and_using_them_is_not(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: float(next(ticks)))
    watch = Stopwatch()
    assert list(watch.measuring_each("read", "abc")) == ["a", "b", "c"]
    assert watch.seconds == {"read": 4.0}  # three items, and the end
