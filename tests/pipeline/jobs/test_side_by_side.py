"""Functions in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lpe.pipeline.engine.progress import Silent
from lpe.pipeline.jobs.side_by_side import Listener, SideBySide
from lpe.transforms.errors import DataError, LpeError, UsageError


class Heard(Silent):
    def __init__(self):
        self.notes, self.states = [], []

    def note(self, line):
        self.notes.append(line)

    def status(self, line):
        self.states.append(line)


def ready(listener: Listener) -> None:
    listener.status("ready")


def dying(listener: Listener) -> None:
    os._exit(9)


def refusing(listener: Listener) -> None:
    raise UsageError("training needs Keras; install it")


def doubled(number: int, listener: Listener) -> tuple[int, int]:
    listener.status(f"doubling {number}")
    listener.note(f"{number} doubled")
    return 2 * number, os.getpid()


def failing(listener: Listener) -> tuple[int, int]:
    raise DataError("photo.png: damaged; restore it")


def endless(listener: Listener) -> tuple[int, int]:
    listener.note("started")
    time.sleep(600)
    return 0, 0


def test_results_and_reports_come_back_by_name():
    heard = Heard()
    with SideBySide(2, ready, heard) as running:
        for name, number in (("a", 1), ("b", 2), ("c", 3)):
            running.submit(name, doubled, number)
        running.status("caller", "waits")
        results = [running.result(name) for name in "abc"]
    assert [number for number, _ in results] == [2, 4, 6]
    assert os.getpid() not in {process for _, process in results}
    assert sorted(heard.notes) == ["a: 1 doubled", "b: 2 doubled", "c: 3 doubled"]
    assert any("a: doubling 1" in line for line in heard.states)
    assert any("caller: waits" in line for line in heard.states)


def imported(module: str, listener: Listener) -> tuple[bool, int]:
    return module in sys.modules, os.getppid()


def print_what_is_preloaded() -> None:
    with SideBySide(2, ready, Silent(), preload="sched") as running:
        for name in "ab":
            running.submit(name, imported, "sched")
        found = [running.result(name) for name in "ab"]
    print(json.dumps({"found": found, "process": os.getpid()}))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process imports for itself")
def test_what_is_preloaded_is_imported_once_for_all():
    # In a process of its own: what others fork from is one for all of a process's life.
    code = f"from {__name__} import print_what_is_preloaded; print_what_is_preloaded()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    (first_there, first_parent), (second_there, second_parent) = printed["found"]
    assert first_there
    assert second_there
    assert first_parent == second_parent != printed["process"]


def blocked(listener: Listener) -> tuple[bool, int]:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()), os.getpid()


@pytest.mark.parametrize("preload", [None, "sched"])
def test_ctrl_c_is_left_to_the_caller_from_the_start(preload):
    with SideBySide(1, ready, Silent(), preload=preload) as running:
        running.submit("a", blocked)
        assert running.result("a")[0]


def test_an_error_is_the_functions_own_and_a_death_says_what_to_do():
    with SideBySide(1, ready, Silent()) as running:
        running.submit("a", failing)
        with pytest.raises(DataError, match=r"photo\.png: damaged; restore it"):
            running.result("a")
    with SideBySide(1, dying, Silent()) as running:
        running.submit("b", doubled, 1)
        with pytest.raises(LpeError, match=r"b: its process ended with exit code 9.*run the same again"):
            running.result("b")
    with SideBySide(1, refusing, Silent()) as running:
        running.submit("c", doubled, 1)
        with pytest.raises(UsageError, match="needs Keras"):
            running.result("c")


def test_what_still_runs_is_ended_with_the_block():
    heard = Heard()
    started = time.monotonic()
    with SideBySide(1, ready, heard) as running:
        running.submit("a", endless)
        while not heard.notes:
            time.sleep(0.01)
    assert time.monotonic() - started < 60
