"""Plans of many files stay small."""

from __future__ import annotations

import pytest

from tests.benchmarks import folders


@pytest.mark.slow
def test_the_memory_of_a_plan_and_the_bytes_of_its_tasks(tmp_path):
    costs = {}
    for files in (1000, 61_000):
        folders.make(tmp_path / str(files), files, 60, links=True)
        costs[files] = folders.plan(tmp_path / str(files), digest=True, mode="names-and-sizes")
        assert costs[files].images == files
        # A name of 28 letters, a size, a label.
        assert costs[files].task_bytes < 40 * files + 20_000
    # A million at this rate: 450 MB above what Python and its packages take.
    assert costs[61_000].peak - costs[1000].peak < 60_000 * 450
