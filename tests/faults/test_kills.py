"""Every command killed at its file events and run again: the same bytes, nothing lost, nothing left, nothing back.

LPE_FAULT_KILLS says at how many events in all; they are spread evenly over all commands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scenarios
from tests.faults.killing import KILLED, Commands, Run, budget, sample, warm
from tests.faults.scenarios import SCENARIOS, Scenario


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the tests share.

    Attributes:
      commands: run in the place.
      before: a copy of the place as each command finds it.
      scratch: a path for what a check needs.
      whole: an uninterrupted run of each command, and its outcome.
    """

    commands: Commands
    before: Path
    scratch: Path
    whole: dict[str, tuple[Run, dict[str, Any]]]

    def points(self, scenario: Scenario) -> list[int]:
        """The events at which this command is to be killed."""
        everything = sum(len(run.events) for run, _ in self.whole.values())
        events = self.whole[scenario.name][0].events
        return [
            at
            for at in sample(len(events), -(-budget() * len(events) // everything))
            if not passing(events[at - 1])
        ]


def passing(event: str) -> bool:
    """Whether a library removes at this event what it made the moment before.

    Python tries TMPDIR with a file of four bytes; Beam makes an empty directory that it has no use for. Neither
    can be had otherwise, and a kill between the two leaves what the system's own tidying of TMPDIR removes.
    """
    verb, path = event.split(" ", 1)
    return path.startswith("tmp/") and (verb == "remove" or path.startswith("tmp/beam-pipeline-temp"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("kills")
    with warm() as parent:
        commands = Commands(parent, root)
        scenarios.prepare(commands)
        before = commands.snapshot("before")
        whole = {}
        for scenario in SCENARIOS:
            run = commands.done(*scenario.words(commands.place))
            whole[scenario.name] = (run, scenarios.outcome(commands.place, scenario))
            commands.restore("before")
        yield Bench(commands, before, root / "scratch", whole)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_killed_command_run_again_ends_as_one_that_was_not(bench, scenario):
    commands, place = bench.commands, bench.commands.place
    run, outcome = bench.whole[scenario.name]
    problems = []
    points = bench.points(scenario)
    for at in points:
        commands.restore("before")
        words = scenario.words(place)
        killed = commands.run(*words, at=at)
        assert killed.code == KILLED, killed
        found = scenarios.lost(bench.before, place, scenario, outcome)
        again = commands.run(*words)
        if again.code != 0 and (scenario.done is None or scenario.done not in again.err):
            found.append(f"run again: {again.code} {again.err}")
        else:
            found += differences(outcome, scenarios.outcome(place, scenario))
            found += scenarios.log_problems(place)
            found += scenarios.recoverable(bench.before, place, scenario, bench.scratch)
            found += [f"stray: {path}" for path in commands.strays()]
        problems += [f"killed at {at}, {killed.events[-1]}: {problem}" for problem in found]
    print(f"{scenario.name}: {len(points)} kills, {len(run.events)} events")  # noqa: T201
    assert not problems, "\n".join(problems)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    names = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return [f"another outcome: {', '.join(sorted(names))}"] if names else []
