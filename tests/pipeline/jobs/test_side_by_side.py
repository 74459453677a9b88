"""Functions in processes of their own."""

import os
import time

import pytest

from lpe.pipeline.engine.progress import Silent
from lpe.pipeline.jobs.side_by_side import Listener, side_by_side
from lpe.transforms.errors import DataError, LpeError


class Heard(Silent):
    def __init__(self):
        self.notes, self.states = [], []

    def note(self, line):
        self.notes.append(line)

    def status(self, line):
        self.states.append(line)


def doubled(number: int, listener: Listener) -> tuple[int, int]:
    listener.status(f"doubling {number}")
    listener.note(f"{number} doubled")
    return 2 * number, os.getpid()


def failing(kind: str, listener: Listener) -> tuple[int, int]:
    if kind == "ours":
        raise DataError("photo.png: damaged; restore it")
    os._exit(9)


def endless(listener: Listener) -> tuple[int, int]:
    listener.note("started")
    time.sleep(600)
    return 0, 0


def test_results_and_reports_come_back_by_name():
    heard = Heard()
    with side_by_side({"a": (doubled, (1,)), "b": (doubled, (2,))}, 2, heard) as running:
        running.status("caller", "waits")
        (a, first), (b, second) = running.result("a"), running.result("b")
    assert (a, b) == (2, 4)
    assert len({first, second, os.getpid()}) == 3
    assert sorted(heard.notes) == ["a: 1 doubled", "b: 2 doubled"]
    assert any("a: doubling 1" in line for line in heard.states)
    assert any("caller: waits" in line for line in heard.states)


def test_an_error_is_the_functions_own_and_a_death_says_what_to_do():
    calls = {"a": (failing, ("ours",)), "b": (failing, ("dies",))}
    with side_by_side(calls, 1, Silent()) as running:
        with pytest.raises(DataError, match=r"photo\.png: damaged; restore it"):
            running.result("a")
        with pytest.raises(LpeError, match=r"b: its process ended with exit code 9.*run the same again"):
            running.result("b")


def test_what_still_runs_is_ended_with_the_block():
    heard = Heard()
    started = time.monotonic()
    with side_by_side({"a": (endless, ())}, 1, heard):
        while not heard.notes:
            time.sleep(0.01)
    assert time.monotonic() - started < 60
