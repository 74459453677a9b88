"""The cores that a process may use."""

import os

from lpe.pipeline.engine import cores


def test_affinity_and_a_containers_share_bound_the_cores(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(cores, "_QUOTA", quota)
    allowed = len(os.sched_getaffinity(0))
    assert cores.usable_cores() == allowed  # no such file
    for text, expected in (("max 100000", allowed), ("100000 100000", 1), ("50000 100000", 1)):
        quota.write_text(text + "\n")
        assert cores.usable_cores() == expected
