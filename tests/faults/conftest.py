"""What the tests of faults share: a place with everything that commands work on, and whole runs of each command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scenarios
from tests.faults.killing import Commands, Run, warm
from tests.faults.scenarios import SCENARIOS, Scenario


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the tests share.

    Attributes:
      commands: run in the place.
      before: a copy of the place as each command finds it.
      scratch: a path for what a check needs.
      whole: an uninterrupted run of each command, by name, and its outcome.
    """

    commands: Commands
    before: Path
    scratch: Path
    whole: dict[str, tuple[Run, dict[str, Any]]]

    @property
    def events(self) -> int:
        """The file events of all commands together."""
        return sum(len(run.events) for run, _ in self.whole.values())

    def run_again(self, scenario: Scenario) -> list[str]:
        """Runs a command again, after a fault; returns what is not as after a whole run."""
        place = self.commands.place
        again = self.commands.run(*scenario.words(place))
        if again.code != 0 and (scenario.done is None or scenario.done not in again.err):
            return [f"run again: {again.code} {again.err}"]
        return [
            *scenarios.differences(scenario, self.whole[scenario.name][1], place),
            *scenarios.log_problems(place),
            *scenarios.recoverable(self.before, place, scenario, self.scratch),
            *(f"stray: {path}" for path in self.commands.strays()),
        ]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("faults")
    with warm() as parent:
        commands = Commands(parent, root)
        scenarios.prepare(commands)
        before = commands.snapshot("before")
        whole = {}
        for scenario in SCENARIOS:
            run = commands.done(*scenario.words(commands.place))
            whole[scenario.name] = (run, scenarios.outcome(commands.place))
            commands.restore("before")
        yield Bench(commands, before, root / "scratch", whole)
