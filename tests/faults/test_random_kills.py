"""Jobs of several processes, killed at random moments: as a whole, the parent alone, a worker alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.killing import budget, tree
from tests.pipeline.running import wait_for_receipts

_ROOT = Path(__file__).resolve().parents[2]
_SOURCE = "synthetic:12000"


@pytest.fixture(scope="module")
def keystore(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keys")
    path.chmod(0o700)
    assert start(path, "keys", "create", "patients", "--keystore", path).wait() == 0
    return path


@pytest.fixture(scope="module")
def whole(keystore, tmp_path_factory) -> tuple[dict[str, bytes], float]:
    """The files of an encryption that nobody disturbed, and how many seconds it took."""
    root = tmp_path_factory.mktemp("whole")
    started = time.monotonic()
    assert encrypt(keystore, root).wait() == 0
    return tree(root / "shapes"), time.monotonic() - started


def start(temporary: Path, *words: object) -> subprocess.Popen[str]:
    """A command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "lpe", *(str(word) for word in words)],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def encrypt(keystore: Path, root: Path) -> subprocess.Popen[str]:
    (root / "tmp").mkdir(exist_ok=True)
    words = ("--keystore", keystore, "--key", "patients", "--workers", "2", "--json")
    return start(root / "tmp", "encrypt", "--source", _SOURCE, "--output", root / "shapes", *words)


def workers(parent: int) -> Iterator[int]:
    """The processes that the parent has shards done by."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = status.with_name("cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if int(fields[1]) == parent and b"worker_process" in command:
            yield int(status.parent.name)


def wait_for_end_of_group(group: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("a process outlived its killed parent")


def kill_all(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_parent(process: subprocess.Popen[str]) -> None:
    process.kill()


def kill_worker(process: subprocess.Popen[str]) -> None:
    for worker in sorted(workers(process.pid))[:1]:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill_all, kill_parent, kill_worker])
def test_a_job_killed_at_any_moment_and_run_again_gives_the_same_bytes(keystore, whole, tmp_path, kill):
    files, seconds = whole
    draw = random.Random(kill.__name__)
    for number in range(max(1, budget() // 30)):
        root = tmp_path / str(number)
        root.mkdir()
        process = encrypt(keystore, root)
        time.sleep(draw.uniform(0.2, 1.0) * seconds)
        kill(process)
        process.communicate()
        wait_for_end_of_group(process.pid)
        again = encrypt(keystore, root)
        out, err = again.communicate()
        assert again.returncode == 0, (number, out, err)
        assert tree(root / "shapes") == files, number
        assert list((root / "tmp").iterdir()) == [], number


def test_a_killed_worker_is_one_line_and_finished_shards_are_kept(keystore, whole, tmp_path):
    process = encrypt(keystore, tmp_path)
    wait_for_receipts(tmp_path / "shapes", 2, process)
    kill_worker(process)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert json.loads(out)["error"] == (
        "a worker process was killed, perhaps for lack of memory; run the same command again, with fewer --workers "
        "if it was that: finished shards are kept"
    )
    again = encrypt(keystore, tmp_path)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, (out, err)
    assert json.loads(out)["metrics"]["kept_shards"] >= 2
    assert tree(tmp_path / "shapes") == whole[0]
