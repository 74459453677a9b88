"""Start-up of the command: a job without Google Cloud does not import its clients, and any other does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lpe.pipeline.cli.app import beam_commands

ROOT = Path(__file__).resolve().parents[3]
COMMAND = "import sys; from lpe.pipeline.cli.app import entry_point; sys.argv[0] = 'lpe'; entry_point()"


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    """Two of the packages that Beam looks for, which note that they were imported."""
    place = tmp_path / "clients"
    for package in ("apitools", "google/cloud/dataflow"):
        folder = place / package
        folder.mkdir(parents=True)
        # A module that lacks what Beam wants from it is to Beam as good as none.
        note = f"from pathlib import Path; (Path({str(place)!r}) / 'imported-{folder.name}').touch()\n"
        (folder / "__init__.py").write_text(note)
    return place


def start(clients: Path, code: str, *arguments: str, **environment: str) -> tuple[int, set[str]]:
    """Runs `code`; its exit code, and which clients it imported."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TFDS_DATA_DIR": "", "PYTHONPATH": str(clients), **environment},
    )
    return done.returncode, {path.name.removeprefix("imported-") for path in clients.glob("imported-*")}


@pytest.mark.parametrize("options", [[], ["--runner=FnApiRunner"], ["--runner", "DirectRunner"]], ids=str)
def test_a_local_job_imports_no_google_cloud(clients, tmp_path, options):
    words = ["ingest", "--source", "synthetic:20", "--output", str(tmp_path / "home"), *options]
    assert start(clients, COMMAND, *words) == (0, set())


@pytest.mark.parametrize(
    "words",
    [
        ["--output", "gs://bucket/home"],
        ["--output=gs://bucket/home"],
        ["--output", "home", "--runner=DataflowRunner"],
        ["--output", "home", "--runner", "dataflow"],
        ["--output", "home", "--gbek=type:gcpsecret;version_name:v"],
    ],
    ids=str,
)
def test_a_job_in_google_cloud_imports_it(clients, words):
    # The source is empty, so that the job ends as soon as it has begun.
    _, imported = start(clients, COMMAND, "ingest", "--source", f"folder:{clients}", *words)
    assert imported == {"apitools", "dataflow"}


def test_a_bucket_of_tensorflow_datasets_counts(clients, tmp_path):
    words = ["ingest", "--source", f"folder:{clients}", "--output", str(tmp_path / "home")]
    _, imported = start(clients, COMMAND, *words, TFDS_DATA_DIR="gs://bucket/datasets")
    assert imported == {"apitools", "dataflow"}


@pytest.mark.parametrize(
    "code",
    [
        "import lpe.pipeline.jobs.encrypt",
        "from lpe.pipeline.cli.app import main; main(['ingest', '--source', 'folder:lpe', '--output', 'home'])",
        # `keys` may meet a remote path that is not on its command line: a dataset that needs a key.
        "from lpe.pipeline.cli.startup import leave_out_google_cloud as leave; "
        "from lpe.pipeline.cli.app import beam_commands; leave(['keys', 'destroy', 'run'], beam_commands()); "
        "import apache_beam",
    ],
)
def test_another_process_is_left_alone(clients, code):
    assert start(clients, code)[1] == {"apitools", "dataflow"}


def test_what_was_imported_before_stays():
    code = (
        "import sys, types; there = sys.modules['apitools'] = types.ModuleType('apitools')\n"
        "from lpe.pipeline.cli.startup import leave_out_google_cloud as leave; leave(['encrypt'], {'encrypt'})\n"
        "assert sys.modules['apitools'] is there and 'google.auth' in sys.modules\n"
        "try: import google.cloud.storage\n"
        "except ModuleNotFoundError: print('none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "none\n"


def test_the_commands_that_import_beam_are_those_that_take_its_options():
    assert beam_commands() == {
        "run",
        "ingest",
        "encrypt",
        "decrypt",
        "reencrypt",
        "verify",
        "unseal",
        "compare",
    }


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
