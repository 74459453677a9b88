"""Runs what a job staged, on workers that have only that: what happens behind Dataflow's API."""

from __future__ import annotations

import re
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.runner import PipelineResult
from google.protobuf import struct_pb2

from tests.servers.dataflow import metrics, staged
from tests.servers.dataflow.job import Job
from tests.servers.dataflow.staged import Bucket
from tests.workers.loopback import confine

_SECONDS = 120.0


class Execution:
    """Runs jobs; see `dataflow_service`.

    Args:
      storage: the storage emulator's URL.
      workers: HOST:PORT of a worker pool.
      seconds: a job that takes longer has failed: a runner whose worker died waits for ever.
    """

    def __init__(self, storage: str, workers: str, seconds: float = _SECONDS) -> None:
        self._bucket = Bucket(storage)
        self._workers = workers
        self._seconds = seconds

    def __call__(self, job: Job) -> None:
        """Runs a job to its end, and lets its state, messages and metrics tell."""
        job.say("BASIC", "Worker configuration: n1-standard-1 in us-central1-b.")
        if not job.turn("JOB_STATE_RUNNING"):
            return
        try:
            found = metrics.updates(self._within_time(job.body))
        except Exception as error:
            _fail(job, error)
            return
        job.metrics = found
        job.say("BASIC", "Workers have finished successfully.")
        job.turn("JOB_STATE_DONE")

    def _within_time(self, body: dict[str, Any]) -> PipelineResult:
        """Runs a job's pipeline. Raises what the runner raises, or TimeoutError."""
        ended: list[PipelineResult | Exception] = []

        def run() -> None:
            try:
                ended.append(self._run(body))
            except Exception as error:
                ended.append(error)

        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        runner.join(self._seconds)
        if not ended:
            raise TimeoutError(
                "The Dataflow job appears to be stuck because no worker activity has been seen."
            )
        if isinstance(ended[0], Exception):
            raise ended[0]
        return ended[0]

    def _run(self, body: dict[str, Any]) -> PipelineResult:
        confine()
        staged.packages(body, self._bucket)
        with tempfile.TemporaryDirectory() as folder:
            proto = staged.pipeline(body, self._bucket)
            proto = staged.on_workers(proto, self._bucket, Path(folder), self._workers)
            told = beam_provision_api_pb2.ProvisionInfo(pipeline_options=_options(body))
            runner = fn_runner.FnApiRunner(
                provision_info=fn_runner.ExtendedProvisionInfo(told, job_name=body["name"])
            )
            # The service runs in a process of its own: nothing of the job's options is the runner's business.
            result = runner.run_via_runner_api(proto, PipelineOptions([]))
            result.wait_until_finish()
            return result


def _options(body: dict[str, Any]) -> struct_pb2.Struct:
    """The job's options for its workers, as the service hands them on: `options` within a Struct."""
    options = {
        # JSON knows no whole numbers, and Beam's workers do not take 4.0 for 4.
        name: str(int(value)) if type(value) is float and value.is_integer() else value
        for name, value in body["environment"]["sdkPipelineOptions"]["options"].items()
    }
    out = struct_pb2.Struct()
    out.update({"options": options})
    return out


def _fail(job: Job, error: Exception) -> None:
    """Tells of a failure as the service does: the worker's traceback, then that the workflow failed."""
    text = str(error)
    at = re.search(r"^Traceback \(most recent call last\):", text, re.M)
    if at is None:
        text = "".join(traceback.format_exception(error))
    job.say("ERROR", text[at.start() :] if at is not None else text)
    job.say(
        "ERROR",
        "Workflow failed. Causes: The job failed because a work item has failed 4 times. Look in previous log "
        "entries for the cause of each one of the 4 failures. The work item was attempted on these workers: "
        f"{job.body['name']}-harness-0000",
    )
    job.turn("JOB_STATE_FAILED")
