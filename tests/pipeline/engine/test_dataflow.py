"""Dataflow, rehearsed: real submissions to a stub of its API, run by workers that have only what was staged.

One story: keys, ingest, encrypt, encrypt from a template, rotate, re-encrypt; then, side by side, jobs that are not
in each other's way. At the end all that was staged on the way is searched for keys and pixels.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tests.conftest import Outcome
from tests.pipeline.cloud import KEYS, LAUNCHER, ROOT, STAGED, Cloud, ended, google_cloud, here
from tests.pipeline.running import encrypting, files, flipped
from tests.pipeline.staged_bytes import SHAPE, key_bytes, leaking, pixels, staged
from tests.plain_pixels import rows
from tests.servers.dataflow import Job

pytestmark = pytest.mark.slow

IMAGES = 624
PLAIN, ENCRYPTED, RESTORED = f"{ROOT}/plain/shapes", f"{ROOT}/enc/shapes", f"{ROOT}/back/shapes"
FROM_TEMPLATE, DAMAGED = f"{ROOT}/template/shapes", f"{ROOT}/damaged/shapes"
INGEST = ("ingest", "--source", "synthetic:520", "--output")
WITH_KEYS = ("--keystore", KEYS)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    """Everything that Google would run."""
    with google_cloud(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def ingested(cloud) -> Path:
    """A key store, and the local twin of PLAIN, which a job on Dataflow wrote."""
    here("keys", "create", "patients", *WITH_KEYS, "--kek", cloud.kek)
    cloud.done(*INGEST, PLAIN, job="ingest")
    home = cloud.folder / "plain" / "shapes"
    here(*INGEST, home)
    return home


@pytest.fixture(scope="module")
def encrypted(cloud, ingested) -> Path:
    """The local twin of ENCRYPTED, in its first version."""
    told = cloud.done(*encrypting(KEYS, f"dataset:{PLAIN}", ENCRYPTED), job="encrypt").json
    home = cloud.folder / "enc" / "shapes"
    local = here(*encrypting(cloud.local_keys(), f"dataset:{ingested}", home)).json
    assert _counts(told) == _counts(local)
    return home


@pytest.fixture(scope="module")
def template(cloud, encrypted) -> Outcome:
    """The encryption of PLAIN to FROM_TEMPLATE, staged as a template while the first key is the primary one."""
    words = encrypting(KEYS, f"dataset:{PLAIN}", FROM_TEMPLATE)
    return cloud.done(*words, f"--template_location={STAGED[0]}templates/encrypt", job="template-encrypt")


@pytest.fixture(scope="module")
def launched(cloud, template) -> list[Job]:
    """The jobs that the template was launched as: the key service refused the first."""
    cloud.kms.forbidden.add(cloud.kek.removeprefix("gcp-kms://"))
    refused = launch(cloud, "encrypt")
    cloud.kms.forbidden.clear()
    return [refused, launch(cloud, "encrypt")]


def launch(cloud: Cloud, name: str) -> Job:
    """What a template's launch does with the job that was staged."""
    job = Job(json.loads(cloud.bucket.read(f"{STAGED[0]}templates/{name}")), f"launched-{name}")
    cloud.execute(job)
    return job


@pytest.fixture(scope="module")
def reencrypted(cloud, encrypted, launched) -> Path:
    """The local twin of ENCRYPTED, whose second version is under another key."""
    here("keys", "rotate", "patients", *WITH_KEYS)
    told = cloud.done("reencrypt", ENCRYPTED, *WITH_KEYS, job="reencrypt").json
    assert (told["dataset"], told["retired"]) == (f"{ENCRYPTED}/1.0.1", [f"{ENCRYPTED}/1.0.0"])
    local = here("reencrypt", encrypted, "--keystore", cloud.local_keys()).json
    assert _counts(told) == _counts(local)
    assert told["key"] == local["key"]
    return encrypted


@pytest.fixture(scope="module")
def beside(cloud, reencrypted) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Jobs that change nothing that another one reads, all at once."""
    for path, data in cloud.files(f"{ENCRYPTED}/1.0.0").items():
        spoiled = flipped(data, len(data) // 2) if "train.tfrecord-00003" in path else data
        cloud.bucket.write(f"{DAMAGED}/1.0.0/{path}", spoiled)
    running = {
        "interrupted": cloud.start(*INGEST, f"{ROOT}/other/shapes", job="interrupted", service=cloud.queue),
        "template": cloud.start(
            *(f"--dataset={FROM_TEMPLATE}", f"--keystore={KEYS}", "--if_due=true"),
            f"--template_location={STAGED[0]}templates/reencrypt",
            job="template-reencrypt",
            program=LAUNCHER,
        ),
        "verify": cloud.start(
            *("verify", f"{ENCRYPTED}/1.0.0", "--against", f"dataset:{PLAIN}", "--json"),
            *WITH_KEYS,
            job="verify",
        ),
        "decrypt": cloud.start(
            *("decrypt", "--source", f"dataset:{ENCRYPTED}", "--output", RESTORED, "--json"),
            *WITH_KEYS,
            job="decrypt",
        ),
        "damaged": cloud.start(
            *("decrypt", "--source", f"dataset:{DAMAGED}", "--output", f"{ROOT}/lost/shapes"),
            *WITH_KEYS,
            job="damaged",
        ),
        "unshipped": cloud.start(*INGEST, f"{ROOT}/unshipped/shapes", job="unshipped", ship=False),
    }
    yield running
    for process in running.values():
        process.kill()


def _counts(told: dict) -> dict:
    """What a job counted, without the seconds, which no two runs share."""
    metrics = told["metrics"]
    assert metrics["images"] == IMAGES
    assert set(metrics["seconds"]) >= {"read", "transform", "write"}
    assert all(stage["total"] >= stage["longest"] >= 0 for stage in metrics["seconds"].values())
    return {name: value for name, value in metrics.items() if name != "seconds"}


def test_an_ingested_dataset_equals_a_local_one(cloud, ingested):
    assert cloud.files(PLAIN) == files(ingested)
    assert len([name for name in files(ingested) if "tfrecord" in name]) == 9


def test_an_encrypted_dataset_equals_a_local_one(cloud, encrypted):
    assert cloud.files(f"{ENCRYPTED}/1.0.0") == files(encrypted / "1.0.0")


def test_a_template_is_staged_and_not_waited_for(cloud, template):
    assert template.json["status"] == "staged"
    assert template.json["seconds"] < 30
    assert "template-encrypt" not in [job.body["name"] for job in cloud.dataflow.jobs]


def test_keys_are_fetched_by_the_workers(cloud, launched):
    """The template was made by one who may use the key: its job may not, until its workers may."""
    refused, _ = launched
    assert refused.states[-2:] == ["JOB_STATE_RUNNING", "JOB_STATE_FAILED"]
    assert "no permission" in refused.messages[-2]["messageText"]


def test_a_launched_template_equals_a_local_job(cloud, launched, encrypted):
    assert launched[1].state == "JOB_STATE_DONE", launched[1].messages
    assert cloud.files(f"{FROM_TEMPLATE}/1.0.0") == files(encrypted / "1.0.0")


def test_a_reencrypted_dataset_equals_a_local_one(cloud, reencrypted):
    assert cloud.files(f"{ENCRYPTED}/1.0.1") == files(reencrypted / "1.0.1")
    assert {"encryption.json", "dataset_info.json"} < files(reencrypted / "1.0.1").keys()


def test_an_interrupted_command_cancels_its_job(cloud, beside):
    end = time.monotonic() + 60
    while not cloud.queue.jobs:
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)  # until the answer has reached the client
    beside["interrupted"].send_signal(signal.SIGINT)
    outcome = ended(beside["interrupted"])
    assert (outcome.code, "interrupted" in outcome.err) == (130, True), outcome
    assert cloud.queue.job("interrupted").state == "JOB_STATE_CANCELLED"


def test_verification_on_dataflow(cloud, beside):
    outcome = ended(beside["verify"])
    assert outcome.code == 0, outcome
    assert (outcome.json["examples"], outcome.json["compared"]) == (IMAGES, True)


def test_a_decrypted_dataset_equals_a_local_one(cloud, beside, reencrypted):
    outcome = ended(beside["decrypt"])
    assert outcome.code == 0, outcome
    home = cloud.folder / "back" / "shapes"
    here("decrypt", "--source", f"dataset:{reencrypted}", "--output", home, "--keystore", cloud.local_keys())
    assert cloud.files(RESTORED) == files(home)


def test_damaged_data_is_one_clear_line(cloud, beside):
    outcome = ended(beside["damaged"])
    ours = [line for line in outcome.err.splitlines() if line.startswith("lpe: ")]
    assert (outcome.code, outcome.out, ours) == (1, "", outcome.err.splitlines()[-1:]), outcome
    assert f"{DAMAGED}/1.0.0/shapes-train.tfrecord-00003-of-00008" in ours[0]
    assert "<lpe:" not in ours[0]
    assert "Traceback" not in outcome.err
    job = cloud.dataflow.job("damaged")
    assert job.state == "JOB_STATE_FAILED"
    assert not [path for path in cloud.files(f"{ROOT}/lost") if path.endswith("dataset_info.json")]


def test_a_reencryption_from_a_template_is_completed_by_the_next_run(cloud, beside, reencrypted):
    """Staged by the program that a Flex Template's launcher runs."""
    outcome = ended(beside["template"])
    assert (outcome.code, "staged as" in outcome.out) == (0, True), outcome
    assert not [path for path in cloud.files(FROM_TEMPLATE) if path.startswith("1.0.1")]
    job = launch(cloud, "reencrypt")
    assert job.state == "JOB_STATE_DONE", job.messages
    assert cloud.files(f"{FROM_TEMPLATE}/1.0.1") == files(reencrypted / "1.0.1")
    done = here("reencrypt", FROM_TEMPLATE, *WITH_KEYS, "--retire-after", "0d").json
    assert (done["retired"], done["deleted"]) == ([f"{FROM_TEMPLATE}/1.0.0"],) * 2
    assert {path.partition("/")[0] for path in cloud.files(FROM_TEMPLATE)} == {"1.0.1"}


def test_workers_have_nothing_but_what_was_shipped(cloud, beside):
    outcome = ended(beside["unshipped"])
    assert outcome.code == 1, outcome
    assert "No module named 'lpe'" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err


class Carrying(beam.DoFn):
    """A DoFn that carries what it should not."""

    def __init__(self, cargo: object) -> None:
        self._cargo = cargo

    def process(self, element: object) -> Iterator[object]:
        yield self._cargo


SECRET = bytes(range(100, 132))
IMAGE = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.mark.parametrize(
    ("name", "leak"),
    [
        ("key-attribute", lambda p: p | beam.Create([1]) | beam.ParDo(Carrying(SECRET))),
        ("key-label", lambda p: p | SECRET.hex() >> beam.Create([1])),
        ("image-attribute", lambda p: p | beam.Create([1]) | beam.ParDo(Carrying(IMAGE))),
        ("image-element", lambda p: p | beam.Create([IMAGE])),
        ("image-numbers", lambda p: p | beam.Create([IMAGE.tolist()])),
    ],
)
def test_planted_leaks_are_found_in_what_is_staged(cloud, name, leak):
    options = cloud.options(name, service=cloud.queue, ship=False)
    pipeline = beam.Pipeline(options=PipelineOptions(options))
    leak(pipeline)
    pipeline.run().cancel()
    assert cloud.queue.job(name).state == "JOB_STATE_CANCELLED"
    objects = {path: data for path, data in staged(cloud).items() if f"/{name}." in path}
    found = {Path(path).name for path in leaking(objects, [SECRET], rows([IMAGE]))}
    assert found == {"pipeline.pb"}


def test_a_key_in_the_package_is_found(cloud):
    """Planted in a copy of the sources, from which a job is submitted."""
    leftover = cloud.sources("leaking-package") / "pipeline" / "leftover.py"
    leftover.write_text(f"KEY = {base64.b64encode(SECRET).decode()!r}\n")
    words = ("ingest", "--source", "synthetic:1", "--output", f"{ROOT}/leaking/shapes")
    place = f"--template_location={STAGED[0]}templates/leaking"
    assert cloud.done(*words, place, job="leaking-package").json["status"] == "staged"
    objects = {path: data for path, data in staged(cloud).items() if "/leaking-package." in path}
    assert {Path(path).name for path in leaking(objects, [SECRET], [])} == {"workflow.tar.gz"}


def test_nothing_secret_and_no_pixel_was_staged(cloud, beside, ingested):
    """The last test: it looks at all that the others have staged."""
    for process in beside.values():
        process.wait(120)
    planted = {name for name in staged(cloud) if re.search(r"/(key|image|leaking)-", name)}
    objects = {name: data for name, data in staged(cloud, cloud.dataflow).items() if name not in planted}
    jobs = {"ingest", "encrypt", "template-encrypt", "reencrypt", "template-reencrypt", "verify", "decrypt"}
    for job in jobs:
        names = {Path(path).name for path in objects if f"/{job}." in path}
        assert {"pipeline.pb", "workflow.tar.gz"} <= names, (job, names)
    secrets, plain = key_bytes(cloud), pixels(ingested)
    assert len(plain) > IMAGES
    assert not leaking(objects, secrets, plain)
    # Nor is anything anywhere else than where datasets, keys and staged files belong.
    places = {path.split("/")[3] for path in cloud.bucket.below(f"{ROOT}/")}
    assert places <= {
        "keys",
        "plain",
        "enc",
        "back",
        "template",
        "damaged",
        "lost",
        "unshipped",
        "temp",
        "staging",
    }
