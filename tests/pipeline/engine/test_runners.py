"""What `lpe` does and says for a runner elsewhere, as far as that shows before anything is sent there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from lpe.pipeline.engine import runners
from lpe.pipeline.engine.beam_options import beam_options
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.running import encrypt, encrypting, refused
from tests.servers import free_port

DATAFLOW = ("--runner=DataflowRunner", "--project=p", "--region=europe-west4", "--temp_location=gs://b/temp")


def test_dataflow_is_not_sent_to_local_files(lpe, keystore, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("images.tar", "d.json"):
        Path(name).touch()
    source, away = f"dataset:{plain}", "gs://bucket/enc/shapes"
    for words in (
        ("ingest", "--source", "folder:images.tar", "--output", "gs://bucket/plain/shapes"),
        ("ingest", "--source", "synthetic:100", "--output", "plain/shapes"),
        ("encrypt", "--source", source, "--output", away, "--keystore", "gs://bucket/k", "--key", "patients"),
        (
            "encrypt",
            "--source",
            f"dataset:{away}",
            "--output",
            away,
            "--keystore",
            keystore,
            "--key",
            "patients",
        ),
        ("decrypt", "--source", f"dataset:{away}", "--output", "back/shapes", "--keystore", "gs://bucket/k"),
        ("unseal", "--source", f"dataset:{away}", "--output", away, "--data-key", "d.json"),
        ("verify", away, "--keystore", keystore),
    ):
        refused(lpe(*words, *DATAFLOW), "Dataflow's workers cannot reach this machine's files", code=2)


def test_what_waits_for_its_job_is_no_template(lpe, plain, tmp_path):
    template = ("--template_location=gs://bucket/job", "--runner=FnApiRunner")
    refused(lpe("verify", plain, *template), "lpe verify waits for its job", code=2)
    refused(lpe("run", "--output", tmp_path / "w", *template), "lpe run waits for its job", code=2)
    refused(
        lpe("compare", "--source", f"dataset:{plain}", "--output", tmp_path / "w", *template),
        "lpe compare waits for its job",
        code=2,
    )


class _JobService(beam_job_api_pb2_grpc.JobServiceServicer):
    def DescribePipelineOptions(self, request, context):  # noqa: N802  (gRPC's name)
        options = [beam_job_api_pb2.PipelineOptionDescriptor(name="number_of_execution_retries")]
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=options)


@contextlib.contextmanager
def job_service() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(_JobService(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def test_a_job_service_is_asked_which_options_it_knows():
    with job_service() as endpoint:
        known = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--number_of_execution_retries=3"]
        options = beam_options([*known, "--parallelism=4"])
        assert options.get_all_options(retain_unknown_options=True)["number_of_execution_retries"] in (3, "3")
        assert beam_options([*known[:-1], "--number_of_execution_retries", "3"])
        for wrong in ("--number_of_executions=3", "--number_of_executions", "stray"):
            with pytest.raises(UsageError, match=wrong):
                beam_options([*known, wrong])
    with pytest.raises(UsageError, match="--number_of_execution_retries"):
        beam_options(known[2:])


def test_no_job_service_is_one_line(lpe, keystore, plain, tmp_path, monkeypatch):
    monkeypatch.setattr("lpe.pipeline.engine.beam_options._SECONDS_TO_ANSWER", 0.5)
    endpoint = f"--job_endpoint=127.0.0.1:{free_port()}"
    outcome = encrypt(
        lpe, keystore, f"dataset:{plain}", tmp_path / "e" / "s", "--runner=PortableRunner", endpoint
    )
    assert outcome.code == 1
    assert "no job service answers there" in outcome.json["error"]


BEAM_SAYS = """Pipeline lpe_1 failed in state FAILED: java.lang.RuntimeException: Error received from SDK harness for
instruction 4: Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py", line 1, in _execute
    response = task()
ModuleNotFoundError: No module named 'lpe'

    at org.apache.beam.runners.fnexecution.control.FnApiControlClient.accept(FnApiControlClient.java:1)
"""


def test_a_failure_elsewhere_is_told_by_its_cause():
    away = PipelineOptions(["--runner=PortableRunner"])
    for module, *parts in (
        ("numpy", "PortableRunner: the job failed: ModuleNotFoundError: No module named 'numpy'", "--debug"),
        ("lpe", "workers do not have lpe", "--setup_file"),
    ):
        told = runners.explained(away, RuntimeError(BEAM_SAYS.replace("'lpe'", f"'{module}'")))
        assert isinstance(told, DataError)
        for part in parts:
            assert part in str(told)
        assert "\n" not in str(told)
    local = RuntimeError("x")
    assert runners.explained(beam_options([]), local) is local


def test_progress_that_cannot_be_seen_spoils_nothing(lpe, plain, keystore, tmp_path, monkeypatch):
    def unreadable(directory: str) -> list[str]:
        if Path(directory).name == "receipts" and "-" in Path(directory).parent.name:
            raise PermissionError(13, "Permission denied", directory)
        return sorted(entry.name for entry in Path(directory).iterdir()) if Path(directory).is_dir() else []

    monkeypatch.setattr("lpe.pipeline.storage.list_names", unreadable)
    home = tmp_path / "e" / "s"
    words = encrypting(keystore, f"dataset:{plain}", home)
    assert lpe(*words).code == 0
    assert lpe("verify", home).code == 0
