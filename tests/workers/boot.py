"""What `boot` does in Beam's SDK container: fetch what was staged, install the package, become the worker.

Run by the bare Python. It imports nothing of ours, since there is nothing of ours where it runs.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from google.protobuf import json_format, text_format

_PACKAGE = "workflow.tar.gz"  # what Beam calls the sdist of --setup_file
_CALL_SECONDS = 60
_LIFE_SECONDS = 900
"""A worker whose runner died would wait for ever."""


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for endpoint in ("logging", "artifact", "provision", "control"):
        parser.add_argument(f"--{endpoint}_endpoint", default="")
    parser.add_argument("--id", required=True)
    # What a container has in its image.
    parser.add_argument(
        "--folder", type=Path, required=True, help="environments, logs and staged files go there"
    )
    parser.add_argument("--constraints", type=Path, required=True)
    given = parser.parse_args()

    signal.alarm(_LIFE_SECONDS)  # stays on in the program that this one becomes
    scratch = given.folder / f"worker-{given.id}-{os.getpid()}"
    scratch.mkdir(parents=True)
    os.chdir(scratch)
    log = os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)  # the pool reads neither
    os.dup2(log, 2)

    info = _provision(given.provision_endpoint, given.id)
    staged = scratch / "staged"
    staged.mkdir()
    artifacts = info.artifact_endpoint.url or given.artifact_endpoint
    _fetch(artifacts, given.id, info, staged)
    package = staged / _PACKAGE
    python = Path(sys.executable)
    if package.exists():
        python = _environment(package, given.folder / "environments", given.constraints)
    options = json_format.MessageToJson(info.pipeline_options)
    (scratch / "options.json").write_text(options)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS_FILE": str(scratch / "options.json"),
        "SEMI_PERSISTENT_DIRECTORY": str(scratch),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(info.logging_endpoint.url or given.logging_endpoint),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint.url or given.control_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    if info.status_endpoint.url:
        environment["STATUS_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.status_endpoint)
    # The pool stops the process that it started: be that process.
    os.execve(python, [python, "-m", "apache_beam.runners.worker.sdk_worker_main"], environment)


def _descriptor(url: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


def _provision(endpoint: str, worker: str) -> beam_provision_api_pb2.ProvisionInfo:
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        return service.GetProvisionInfo(
            request, metadata=(("worker_id", worker),), timeout=_CALL_SECONDS, wait_for_ready=True
        ).info


def _fetch(endpoint: str, worker: str, info: beam_provision_api_pb2.ProvisionInfo, folder: Path) -> None:
    """Writes every artifact of the job under the name that it was staged as."""
    if not info.dependencies:
        return
    metadata = (("worker_id", worker),)
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        resolved = service.ResolveArtifacts(
            beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=info.dependencies),
            metadata=metadata,
            timeout=_CALL_SECONDS,
        )
        for artifact in resolved.replacements:
            request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
            role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
            with (folder / Path(role.staged_name).name).open("wb") as file:
                for part in service.GetArtifact(request, metadata=metadata, timeout=_CALL_SECONDS):
                    file.write(part.data)


def _environment(package: Path, folder: Path, constraints: Path) -> Path:
    """The Python of an environment with the package, on top of the bare one; made once for its contents."""
    place = folder / f"{_digest(package)}"
    python, complete = place / "bin" / "python", place / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
            packages = sysconfig.get_path("purelib", vars={"base": str(place)})
            Path(packages, "bare.pth").write_text(sysconfig.get_path("purelib") + "\n")
            pip = [sys.executable, "-I", "-m", "pip", "--python", python, "install"]
            subprocess.run([*pip, "--quiet", "--constraint", constraints, package], check=True)
            complete.touch()
    return python


def _digest(package: Path) -> str:
    """SHA-256 (hex) of the names and bytes in a tar: its gzip form has the time in it."""
    digest = hashlib.sha256(f"{sys.prefix}|".encode())
    with tarfile.open(package) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            file = tar.extractfile(member) if member.isfile() else None
            data = file.read() if file is not None else b""
            digest.update(f"{member.name}|{len(data)}|".encode() + data)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
