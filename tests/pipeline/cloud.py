"""Google's cloud on loopback, as far as jobs of ours use it, and `lpe` run on it as a user does."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpe.pipeline.cli.app import main
from tests.conftest import Outcome
from tests.servers.dataflow import Dataflow, Execute, dataflow_service
from tests.servers.dataflow.execution import Execution
from tests.servers.dataflow.staged import Bucket
from tests.servers.environment import services_at
from tests.servers.gcs import gcs_server, make_bucket, metadata_service
from tests.servers.google_kms import GoogleKms, google_kms
from tests.workers.environment import run_folder
from tests.workers.pool import worker_pool
from tests.workers.sources import CHECKOUT, copy_sources

ROOT = "gs://bucket"
KEYS = f"{ROOT}/keys"
STAGED = (f"{ROOT}/temp/", f"{ROOT}/staging/")

_SECONDS = 150.0

LPE = (Path(sys.executable).with_name("lpe"),)
LAUNCHER = (sys.executable, CHECKOUT / "deploy" / "dataflow" / "template" / "launch.py")
"""What a Flex Template's launcher runs."""


@dataclasses.dataclass(frozen=True)
class Cloud:
    """What runs, and where.

    Attributes:
      bucket: reads and writes the one bucket.
      dataflow: the service that runs jobs.
      execute: how it runs them, for jobs that were staged and not submitted.
      queue: another, which leaves every job in its queue.
      kms: the key service.
      kek: the key-encryption key's URI.
      folder: for local files.
    """

    bucket: Bucket
    dataflow: Dataflow
    execute: Execute
    queue: Dataflow
    kms: GoogleKms
    kek: str
    folder: Path

    def options(self, job: str, *, service: Dataflow | None = None, ship: bool = True) -> list[str]:
        """The options that send a job to Dataflow, with our package or without, whichever program is given them."""
        return [
            "--runner=DataflowRunner",
            "--project=test-project-1",
            "--region=us-central1",
            f"--job_name={job}",
            *(f"--temp_location={STAGED[0]}", f"--staging_location={STAGED[1]}"),
            *(["--setup_file=./setup.py"] if ship else []),
            f"--dataflow_endpoint={(service or self.dataflow).url}",
            "--no_auth",
        ]

    def sources(self, job: str) -> Path:
        """A copy of what the checkout ships, for one job: it is submitted from there, and its package built."""
        return copy_sources(self.folder / "sources" / job)

    def start(
        self,
        *words: object,
        job: str,
        service: Dataflow | None = None,
        ship: bool = True,
        program: tuple[str | Path, ...] = LPE,
    ) -> subprocess.Popen[str]:
        """Starts `lpe`, or another program, for a job on Dataflow."""
        options = self.options(job, service=service, ship=ship)
        return subprocess.Popen(
            [str(word) for word in (*program, *words, *options)],
            cwd=self.sources(job),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self, *words: object, job: str) -> Outcome:
        """Runs `lpe --json` on Dataflow; it has to succeed."""
        outcome = ended(self.start(*words, "--json", job=job))
        assert outcome.code == 0, (outcome, self._said(job))
        return outcome

    def _said(self, job: str) -> list[str]:
        return [m["messageText"] for j in self.dataflow.jobs if j.body["name"] == job for m in j.messages]

    def local_keys(self) -> str:
        """A copy of the key store, for jobs on this machine; its key-encryption key stays in the key service."""
        place = self.folder / "keys"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        for path, data in self.bucket.below(f"{KEYS}/").items():
            file = place / path.removeprefix(f"{KEYS}/")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        return str(place)

    def files(self, directory: str) -> dict[str, bytes]:
        """Everything in a directory of the bucket, by path within it."""
        prefix = directory.rstrip("/") + "/"
        return {path.removeprefix(prefix): data for path, data in self.bucket.below(prefix).items()}


def ended(process: subprocess.Popen[str], seconds: float = _SECONDS) -> Outcome:
    """What a command did, when it has ended."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Outcome(process.returncode, out, err)


def here(*words: object) -> Outcome:
    """Runs `lpe --json` in this process, on this machine; it has to succeed."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        # A thread of its own: `remote` keeps a thread's connections, which may be to another test's service.
        concurrent.futures.ThreadPoolExecutor(1) as thread,
    ):
        code = thread.submit(main, [*(str(word) for word in words), "--json"]).result()
    assert code == 0, (out.getvalue(), err.getvalue())
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def google_cloud(factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Yields the running cloud, to which the environment's variables point: this process', and those it starts."""
    with contextlib.ExitStack() as stack:
        # A shell that runs the tests in the background has Ctrl-C ignored, and so would all that they start. (Not
        # by preexec_fn: forking this process, in which gRPC serves workers, may abort the child.)
        stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        storage = stack.enter_context(gcs_server())
        metadata = stack.enter_context(metadata_service())
        kms = stack.enter_context(google_kms())
        where = {
            "STORAGE_EMULATOR_HOST": storage,
            "GCE_METADATA_HOST": metadata,
            "GCE_METADATA_IP": metadata,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": kms.url,
        }
        stack.enter_context(services_at(where))
        make_bucket(storage, "bucket")
        workers = stack.enter_context(worker_pool(run_folder(factory), extra="gcp"))
        execute = Execution(storage, workers)
        yield Cloud(
            bucket=Bucket(storage),
            dataflow=stack.enter_context(dataflow_service(execute)),
            execute=execute,
            queue=stack.enter_context(dataflow_service(None)),
            kms=kms,
            kek=kms.add_key("kek"),
            folder=factory.mktemp("cloud"),
        )
