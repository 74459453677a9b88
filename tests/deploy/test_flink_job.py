"""deploy/flink: the words of the job on a real Flink, with workers that are given nothing but what they have."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore
from tests.conftest import Lpe
from tests.deploy.test_flink import beam_words
from tests.pipeline.remote_workers import Elsewhere
from tests.pipeline.running import encrypting, files
from tests.servers import free_port
from tests.servers.flink.cluster import job_server
from tests.servers.flink.jars import job_server_jar
from tests.workers.pool import HERE, process_group

pytestmark = pytest.mark.slow


@pytest.fixture
def side_car(tmp_path) -> Iterator[str]:
    """A worker pool whose Python has our package already, as the image's has; yields HOST:PORT."""
    port = free_port()
    command = [sys.executable, str(HERE / "loopback.py"), "apache_beam.runners.worker.worker_pool_main"]
    # The pool starts whichever `python` is found first.
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command.append(f"--service_port={port}")
    with process_group(command, port, log=tmp_path / "pool.log", cwd=tmp_path, environment=path):
        yield f"localhost:{port}"


def test_the_jobs_words_run_on_flink_and_stage_nothing(side_car, lpe: Lpe, tmp_path: Path):
    jar = job_server_jar()
    keystore, here, there = tmp_path / "keys", tmp_path / "here" / "shapes", tmp_path / "there" / "shapes"
    KeyStore(str(keystore)).create("patients")
    with job_server(jar, tmp_path / "server") as endpoint:
        replaced = {"--job_endpoint": endpoint, "--environment_config": side_car}
        options = [word.split("=", 1) for word in beam_words()]
        assert replaced.keys() <= {name for name, _ in options}
        run = Elsewhere(tuple(f"{name}={replaced.get(name, value)}" for name, value in options))
        done = run(*encrypting(keystore, "synthetic:520", there), "--json")
        assert done.code == 0, done
        staged = [path for path in (tmp_path / "server" / "artifacts").rglob("*") if path.is_file()]
    assert staged == []
    assert lpe(*encrypting(keystore, "synthetic:520", here)).code == 0
    assert files(there / "1.0.0") == files(here / "1.0.0")
