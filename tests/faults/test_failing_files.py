"""A full, failing or read-only disk at every file event: one line that names the right thing, nothing half done."""

from __future__ import annotations

import errno
import os
import re

import pytest

from tests.faults import scenarios
from tests.faults.events import refuses
from tests.faults.killing import budget, passing, sample
from tests.faults.scenarios import SCENARIOS

_ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_failing_disk_is_named_and_the_command_can_be_run_again(bench, scenario):
    commands, place = bench.commands, bench.commands.place
    run, outcome = bench.whole[scenario.name]
    share = -(-budget() * len(run.events) // (2 * bench.events))  # half as many as kills
    problems = []
    for number, at in enumerate(sample(len(run.events), share), SCENARIOS.index(scenario)):
        error, event = _ERRORS[number % len(_ERRORS)], run.events[at - 1]
        if passing(event) or not refuses(error, event.split(" ")[0]):
            continue
        commands.restore("before")
        failed = commands.run(*scenario.words(place), at=at, error=error, lasting=error != errno.EIO)
        found = scenarios.lost(bench.before, place, scenario, outcome)
        if failed.code != 0:  # what a command can do without may fail
            found += complaints(failed.code, failed.out, failed.err, error)
        found += bench.run_again(scenario)
        problems += [f"{errno.errorcode[error]} at {at}, {event}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


def complaints(code: int, out: str, err: str, error: int) -> list[str]:
    """What is wrong with what a failed command said."""
    reason = re.escape(os.strerror(error))
    match = re.fullmatch(rf"(?:destroying key [^\n]+\n)*lpe: (.*): {reason}; [^\n]+\n", err)
    if code != 1 or out or match is None:
        return [f"{code} {out} {err}"]
    return [f"a name that nobody knows: {err}"] if re.search(r"\.tmp-|beam-pipeline-temp", match[1]) else []
