"""deploy/dataflow: the launcher's program, run as the launcher does, stages jobs in an emulated bucket."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.dataflow import DATAFLOW
from tests.servers.dataflow.staged import Bucket
from tests.servers.gcs import gcs_server, make_bucket, metadata_service

IMAGE = "europe-west4-docker.pkg.dev/owner/lpe/lpe:1"
HOME = "encrypted/cifar10"
KEYSTORE = "gs://owner-keys/lpe"


@dataclasses.dataclass(frozen=True)
class Cloud:
    """The emulated storage, as the launcher's container sees it."""

    bucket: Bucket
    environment: dict[str, str]

    def python(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Runs Python."""
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def launch(self, number: int, *parameters: str) -> subprocess.CompletedProcess[str]:
        """What the launcher does; it finds the job at `template_launches/NUMBER/job_object`."""
        location = f"gs://owner-jobs/staging/template_launches/{number}/job_object"
        words = ["--runner=DataflowRunner", "--project=owner-project", "--region=europe-west4", "--no_auth"]
        words += ["--temp_location=gs://owner-jobs/temp", "--job_name=launched"]
        return self.python(
            DATAFLOW / "template" / "launch.py", *parameters, *words, f"--template_location={location}"
        )

    def job(self, number: int) -> dict[str, Any] | None:
        """The staged job."""
        found = self.read(f"gs://owner-jobs/staging/template_launches/{number}/job_object")
        return None if found is None else json.loads(found)

    def names(self, prefix: str) -> set[str]:
        """The last parts of the names of the objects whose path begins so."""
        return {path.rsplit("/", 1)[-1] for path in self.bucket.below(prefix)}

    def read(self, path: str) -> bytes | None:
        """An object's bytes; None if it isn't there."""
        return self.bucket.below(path).get(path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    """The owner's buckets, with a keyset and an encrypted dataset."""
    folder: Path = tmp_path_factory.mktemp("launch")
    with gcs_server() as url, metadata_service() as host:
        for bucket in ("owner-jobs", "owner-data", "owner-keys"):
            make_bucket(url, bucket)
        where = {"STORAGE_EMULATOR_HOST": url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
        cloud = Cloud(Bucket(url), {**os.environ, **where, "LPE_IMAGE": IMAGE})
        kek = folder / "kek.json"
        made = cloud.python(
            "-m", "lpe", "keys", "create", "patients", f"--keystore={KEYSTORE}", f"--kek={kek}"
        )
        assert made.returncode == 0, made.stderr
        # Without the launcher's own options the program is `lpe` on this machine.
        parameters = ["--source=synthetic:40", f"--output=gs://owner-data/{HOME}", f"--keystore={KEYSTORE}"]
        done = cloud.python(DATAFLOW / "template" / "launch.py", *parameters, "--key=patients")
        assert done.returncode == 0, done.stderr
        assert cloud.read(f"gs://owner-data/{HOME}/1.0.0/dataset_info.json")
        yield cloud


def images_of(job: dict[str, Any]) -> list[str]:
    (pool,) = job["environment"]["workerPools"]
    return [each["containerImage"] for each in pool["sdkHarnessContainerImages"]]


@pytest.mark.slow
def test_a_launch_stages_its_job_and_does_not_wait_for_it(cloud):
    parameters = [
        "--source=synthetic:60",
        "--output=gs://owner-data/encrypted/other",
        f"--keystore={KEYSTORE}",
    ]
    done = cloud.launch(1, *parameters, "--key=patients", "--seal=true")
    assert done.returncode == 0, done.stderr
    job = cloud.job(1)
    assert job is not None
    assert (job["name"], images_of(job)) == ("launched", [IMAGE])
    assert "empty job" not in done.stdout
    # Workers are in a network without a way to the package index: what they need is in their image.
    assert cloud.names("gs://owner-jobs/temp/") == {"pipeline.pb", "submission_environment_dependencies.txt"}
    assert cloud.read("gs://owner-data/encrypted/other/1.0.0/dataset_info.json") is None


@pytest.mark.slow
def test_with_nothing_due_an_empty_job_is_staged(cloud):
    """A launch without a job would be reported as a failed one."""
    parameters = [f"--dataset=gs://owner-data/{HOME}", f"--keystore={KEYSTORE}"]
    done = cloud.launch(2, *parameters, "--if_due=true", "--retire_after=7d", "--destroy_keys=true")
    assert done.returncode == 0, done.stderr
    job = cloud.job(2)
    assert job is not None
    assert images_of(job) == [IMAGE]
    assert "staging an empty job" in done.stdout


@pytest.mark.slow
def test_a_launch_that_fails_stages_nothing_and_says_why(cloud):
    done = cloud.launch(3, "--dataset=gs://owner-data/nowhere", f"--keystore={KEYSTORE}", "--if_due=true")
    assert done.returncode == 1
    assert "gs://owner-data/nowhere" in done.stderr
    assert cloud.job(3) is None
