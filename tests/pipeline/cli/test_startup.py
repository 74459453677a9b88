"""Start-up of the command: jobs on this machine import neither Beam nor a cloud's clients."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("apache_beam", "botocore", "google.api_core", "keras", "matplotlib", "tensorflow")
# What was imported stands in the last line of what is printed.
COMMAND = (
    "import sys; from lpe.pipeline.cli.app import main; code = main(sys.argv[1:]); "
    f"print([name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
)


def imported(*words: object) -> list[str]:
    """Those of the heavy modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return eval(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def plain(work) -> Path:
    assert imported("ingest", "--source", "synthetic:40", "--output", work / "plain/shapes") == []
    return work / "plain/shapes"


def test_a_job_on_this_machine_imports_no_beam(work, plain):
    keys = ("--keystore", work / "keys")
    assert imported("keys", "create", "owner", *keys) == []
    source = ("--source", f"dataset:{plain}")
    assert imported("encrypt", *source, "--output", work / "enc/shapes", "--key", "owner", *keys) == []
    assert imported("verify", work / "enc/shapes", *keys, "--against", plain) == []
    assert imported("keys", "rotate", "owner", *keys) == []
    assert imported("reencrypt", work / "enc/shapes", *keys) == []
    back = ("--source", work / "enc/shapes", "--output", work / "back/shapes")
    assert imported("decrypt", *back, *keys) == []


def test_a_runner_of_beams_is_imported_where_it_is_named(work):
    words = ("ingest", "--source", "synthetic:40", "--output", work / "beam/shapes")
    assert "apache_beam" in imported(*words, "--runner=DirectRunner")


def test_help_takes_a_fraction_of_the_time_of_beam():
    """The best of some runs each, since the machine has other work; measured, it is a quarter."""

    def seconds(*arguments: str) -> float:
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True, cwd=ROOT)
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds("-m", "lpe", "--help") < 0.4 * seconds("-c", "import apache_beam")
