"""Every job on a real Flink; and a TaskManager killed at work, which changes no byte."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore
from tests.pipeline.remote_workers import (
    Elsewhere,
    check_jobs,
    check_same,
    external,
    failed,
    package,
    portable,
    process,
    run_here,
)
from tests.pipeline.running import encrypting, flipped
from tests.servers.flink.cluster import Cluster, cluster, job_server
from tests.servers.flink.jars import JobServerJar, job_server_jar
from tests.workers.environment import run_folder
from tests.workers.pool import boot_program, worker_pool

pytestmark = pytest.mark.slow

# 20,000 images, 4,000 of test, and three times the former again: 40 shards.
_MANY = ("--augment", "flip,crop", "--copies", 3)
_SHARDS = 40


@pytest.fixture(scope="module")
def jar() -> JobServerJar:
    return job_server_jar()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return run_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def side_car(folder) -> Iterator[tuple[str, ...]]:
    """A TaskManager's worker pool, which on a cluster is a container beside it."""
    with worker_pool(folder) as pool:
        yield external(pool)


@pytest.fixture(scope="module")
def embedded(jar, folder, side_car, tmp_path_factory) -> Iterator[Elsewhere]:
    """A job server that starts a Flink in its own process for each job."""
    with job_server(jar, tmp_path_factory.mktemp("embedded")) as endpoint:
        # A job's next stage gets the worker of the last one: half as many start.
        kept = "--environment_cache_millis=10000"
        yield portable(endpoint, *side_car, package(folder), kept)


def test_every_job_writes_the_bytes_of_a_local_run(embedded, tmp_path):
    check_jobs(embedded, tmp_path, ["ingest", "encrypt", "verify", "decrypt", "unseal", "reencrypt"])


def test_the_flink_runner_starts_its_own_job_server(jar, folder, side_car, tmp_path):
    options = ("--flink_master=[local]", f"--flink_job_server_jar={jar.path}", "--flink_version=1.19")
    runner = Elsewhere(("--runner=FlinkRunner", *options, *side_car, package(folder)))
    check_jobs(runner, tmp_path, ["encrypt"])


def test_a_bad_shard_is_one_line(embedded, tmp_path):
    KeyStore(str(tmp_path / "keys")).create("patients")
    plain = tmp_path / "plain" / "shapes"
    run_here("ingest", "--source", "synthetic:520", "--output", plain)
    bad = plain / "1.0.0" / "shapes-train.tfrecord-00003-of-00008"
    bad.write_bytes(flipped(bad.read_bytes(), 5000))
    done = embedded(*encrypting(tmp_path / "keys", f"dataset:{plain}", tmp_path / "enc" / "shapes"))
    failed(done, bad.name)
    assert not (tmp_path / "enc" / "shapes" / "1.0.0").exists()


def test_a_killed_task_manager_changes_no_byte(jar, folder, tmp_path):
    keystore, here, there = tmp_path / "keys", tmp_path / "here" / "shapes", tmp_path / "there" / "shapes"
    KeyStore(str(keystore)).create("patients")
    with (
        cluster(jar, tmp_path / "cluster") as flink,
        job_server(jar, tmp_path / "job-server", flink.master) as endpoint,
    ):
        options = ("--parallelism=2", *process(boot_program(folder)), package(folder))
        words = (*encrypting(keystore, "synthetic:20000", there), *_MANY, "--json")
        running = portable(endpoint, *options).start(*words)
        try:
            finished = _wait_for_both(flink, there, running)
            flink.task_managers[0].kill()
            out, err = running.communicate(timeout=150)
        finally:
            running.kill()
        assert running.returncode == 0, (out, err)
        [job] = flink.ask("/jobs/overview")["jobs"]
        assert job["state"] == "FINISHED"
        lost = flink.ask(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"]
        assert flink.task_managers[0].name in json.dumps(lost)
    told = json.loads(out)["metrics"]
    # The attempt that was lost does not count, and what it finished is told apart.
    assert (told["shards"], told["images"]) == (_SHARDS, 84_000)
    assert len(finished) <= told["kept_shards"] < _SHARDS
    assert 0 < len(finished) < _SHARDS
    assert _identities(there / "1.0.0").items() >= finished.items()
    run_here(*encrypting(keystore, "synthetic:20000", here), *_MANY)
    check_same(here / "1.0.0", there / "1.0.0")


def _wait_for_both(flink: Cluster, home: Path, running: subprocess.Popen[str]) -> dict[str, tuple[int, int]]:
    """Waits until each TaskManager has finished a shard and begun another; says which are finished."""
    begun: dict[str, set[Path]] = {manager.name: set() for manager in flink.task_managers}
    end = time.monotonic() + 120
    while time.monotonic() < end and running.poll() is None:
        for manager in flink.task_managers:
            opened = manager.open_files(home)
            begun[manager.name] |= {path for path in opened if "tfrecord" in path.name}
        if all(len(paths) >= 2 for paths in begun.values()):
            [work] = (path.parent for path in home.glob("_work/*/plan.json"))
            receipts = [json.loads(path.read_text()) for path in work.glob("receipts/[!.]*.json")]
            finished = {receipt["shard"]["file"] for receipt in receipts}
            return {name: value for name, value in _identities(work / "data").items() if name in finished}
        time.sleep(0.02)
    pytest.fail(f"the TaskManagers do not share the work: {begun}")


def _identities(data: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each shard: one written again has others."""
    out = {}
    for path in data.glob("*.tfrecord-*"):
        if not path.name.startswith("."):
            status = path.stat()
            out[path.name] = (status.st_ino, status.st_mtime_ns)
    return out
