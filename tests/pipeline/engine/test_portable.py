"""Every job on Beam's portable job service, with workers that hold what we ship and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from lpe.pipeline.keystore import KeyStore
from tests.pipeline.remote_workers import (
    Elsewhere,
    check_jobs,
    check_same,
    external,
    failed,
    package,
    portable,
    run_here,
)
from tests.pipeline.running import encrypting, flipped
from tests.secret_bytes import found, kek_key, prf_keys
from tests.workers.environment import bare_python, run_folder
from tests.workers.pool import boot_program, job_service, worker_pool
from tests.workers.sources import CHECKOUT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return run_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def service(folder) -> Iterator[str]:
    with job_service(folder) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def elsewhere(folder, service) -> Iterator[Elsewhere]:
    with worker_pool(folder) as pool:
        yield portable(service, *external(pool), package(folder))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with a key store and an ingested dataset."""
    root = tmp_path_factory.mktemp("data")
    KeyStore(str(root / "keys")).create("patients")
    run_here("ingest", "--source", "synthetic:520", "--output", root / "plain" / "shapes")
    return root


def words(data: Path, home: Path, source: object = None) -> tuple[object, ...]:
    return encrypting(data / "keys", source or f"dataset:{data / 'plain' / 'shapes'}", home)


def test_every_job_writes_the_bytes_of_a_local_run_and_carries_no_key(elsewhere, tmp_path, folder):
    check_jobs(elsewhere, tmp_path)
    keys = [*prf_keys(str(tmp_path / "keys"), "patients").values(), kek_key(str(tmp_path / "keys"))]
    left = dict(_contents(folder))
    assert {"workflow.tar.gz", "options.json", "job_service.log"} <= {path.name for path in left}
    assert [path for path, data in left.items() if found(keys, data)] == []


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All that was staged, fetched and logged, each once; other tests may be at work beside."""
    seen = set()
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if name != "environments" and not name.startswith("sources-")]
        for path in (Path(place, name) for name in files):
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                if (path.name, data) not in seen:
                    seen.add((path.name, data))
                    yield path, data


def test_the_worker_sees_its_package_and_not_the_checkout(elsewhere, folder, tmp_path):
    report = tmp_path / "report.json"

    def write(_: object) -> None:
        import os  # noqa: PLC0415
        import sys  # noqa: PLC0415
        from pathlib import Path  # noqa: PLC0415

        import lpe.pipeline  # noqa: PLC0415

        told = {
            "module": lpe.pipeline.__file__,
            "path": sys.path,
            "cwd": str(Path.cwd()),
            "environment": dict(os.environ),
        }
        report.write_text(json.dumps(told))

    with beam.Pipeline(options=PipelineOptions(list(elsewhere.options))) as graph:
        _ = graph | beam.Create([None]) | beam.Map(write)
    told = json.loads(report.read_text())
    packages = str(folder / "environments")
    assert told["module"].startswith(packages)
    assert told["cwd"].startswith(str(folder / "worker-"))
    assert str(bare_python().parents[1]) in " ".join(told["path"])
    assert not any(str(CHECKOUT) in place for place in told["path"])
    assert not any(name.startswith("PYTHON") for name in told["environment"])


def test_without_the_package_the_worker_knows_nothing_of_ours(elsewhere, data, tmp_path):
    bare = Elsewhere(tuple(option for option in elsewhere.options if "setup_file" not in option))
    done = bare(*words(data, tmp_path / "enc" / "shapes"), seconds=60)
    failed(done, "No module named 'lpe'")


def test_keys_are_fetched_where_the_work_is_done(data, folder, service, tmp_path):
    """The key store is there when the job is submitted, and gone when its worker starts."""
    boot = tmp_path / "boot"
    boot.write_text(f'#!/bin/sh\nmv "{data}/keys" "{data}/away"\nexec "{boot_program(folder)}" "$@"\n')
    boot.chmod(0o755)
    home = tmp_path / "enc" / "shapes"
    with worker_pool(folder, boot=boot) as pool:
        done = portable(service, *external(pool), package(folder))(*words(data, home), seconds=60)
    (data / "away").rename(data / "keys")
    failed(done, f"{data}/keys")
    assert not home.exists() or not (home / "1.0.0").exists()


def test_a_bad_shard_is_one_line(elsewhere, data, tmp_path):
    home = tmp_path / "plain" / "shapes"
    home.parent.mkdir()
    home.symlink_to(data / "plain" / "shapes")
    copy = tmp_path / "damaged" / "shapes" / "1.0.0"
    copy.mkdir(parents=True)
    for path in (home / "1.0.0").iterdir():
        hurt = path.name == "shapes-train.tfrecord-00003-of-00008"
        (copy / path.name).write_bytes(flipped(path.read_bytes(), 5000) if hurt else path.read_bytes())
    done = elsewhere(*words(data, tmp_path / "enc" / "shapes", f"dataset:{copy}"), seconds=60)
    failed(done, "shapes-train.tfrecord-00003-of-00008")
    assert not (tmp_path / "enc" / "shapes" / "1.0.0").exists()


def test_relative_paths_mean_the_same_on_a_worker(elsewhere, data, tmp_path):
    done = elsewhere(*words(Path(), Path("there/shapes")), cwd=data)
    assert done.code == 0, done
    run_here(*words(data, tmp_path / "here" / "shapes"))
    check_same(tmp_path / "here" / "shapes" / "1.0.0", data / "there" / "shapes" / "1.0.0")


def test_a_job_service_that_is_not_there_is_one_line(data, tmp_path):
    started = time.monotonic()
    done = portable("localhost:1", *external("localhost:1"))(*words(data, tmp_path / "enc" / "shapes"))
    failed(done, "localhost:1")
    assert time.monotonic() - started < 60
    assert re.search("job service|job_endpoint", done.err)
