"""Every command killed at its file events and run again: the same bytes, nothing lost, nothing left, nothing back.

LPE_FAULT_KILLS says at how many events in all; they are spread evenly over all commands.
"""

from __future__ import annotations

import pytest

from tests.faults import scenarios
from tests.faults.killing import KILLED, budget, passing, sample
from tests.faults.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_killed_command_run_again_ends_as_one_that_was_not(bench, scenario):
    commands, place = bench.commands, bench.commands.place
    run, outcome = bench.whole[scenario.name]
    share = -(-budget() * len(run.events) // bench.events)
    points = [at for at in sample(len(run.events), share) if not passing(run.events[at - 1])]
    problems = []
    for at in points:
        commands.restore("before")
        killed = commands.run(*scenario.words(place), at=at)
        assert killed.code == KILLED, killed
        found = scenarios.lost(bench.before, place, scenario, outcome) + bench.run_again(scenario)
        problems += [f"killed at {at}, {killed.events[-1]}: {problem}" for problem in found]
    print(f"{scenario.name}: killed at {len(points)} of {len(run.events)} events")
    assert not problems, "\n".join(problems)
