"""Beam's worker pool, which starts our `boot`, and Beam's portable job service: each in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers import free_port
from tests.workers.environment import CONSTRAINTS, bare_python

HERE = Path(__file__).parent

_READY_SECONDS = 60.0
_END_SECONDS = 5.0


@contextlib.contextmanager
def worker_pool(
    folder: Path,
    *,
    extra: str = "",
    environment: Mapping[str, str] | None = None,
    boot: Path | None = None,
) -> Iterator[str]:
    """Runs Beam's worker pool until the block ends; yields HOST:PORT.

    It is what `--environment_type=EXTERNAL --environment_config=HOST:PORT` asks for workers. They begin as
    `bare_python(extra)`, and end with the block.

    Args:
      folder: of the run, see `environment.run_folder`: the packages' environments, and a folder for each
        worker with its log.
      environment: more environment variables for the pool and its workers.
      boot: what starts a worker; by default `boot_program(folder)`.
    """
    port = free_port()
    place = boot_program(folder, extra=extra).parent
    module = "apache_beam.runners.worker.worker_pool_main"
    command = [
        *(str(bare_python(extra)), str(place / "loopback.py"), module),
        *(f"--service_port={port}", f"--container_executable={boot or place / 'boot'}"),
    ]
    with process_group(command, port, log=place / "pool.log", environment=environment, cwd=place):
        yield f"localhost:{port}"


@contextlib.contextmanager
def job_service(folder: Path) -> Iterator[str]:
    """Runs Beam's portable job service until the block ends; yields HOST:PORT for `--job_endpoint`."""
    port = free_port()
    module = "apache_beam.runners.portability.local_job_service_main"
    command = [
        *(str(bare_python()), shutil.copy(HERE / "loopback.py", folder), module),
        *(f"--port={port}", f"--staging_dir={folder / 'staging'}"),
    ]
    with process_group(command, port, log=folder / "job_service.log", cwd=folder):
        yield f"localhost:{port}"


def boot_program(folder: Path, *, extra: str = "") -> Path:
    """Makes a program that does what `boot` does in Beam's SDK container: see boot.py; returns its path."""
    place = folder / f"boot-{extra or 'beam'}-{os.getpid()}"
    place.mkdir(parents=True, exist_ok=True)
    for name in (HERE / "boot.py", HERE / "loopback.py", CONSTRAINTS):
        shutil.copy(name, place)
    program = place / "boot"
    words = [bare_python(extra), "-I", place / "boot.py"]
    words += ["--folder", folder, "--constraints", place / CONSTRAINTS.name]
    program.write_text(f'#!/bin/sh\nexec {" ".join(map(str, words))} "$@"\n')
    program.chmod(0o755)
    return program


@contextlib.contextmanager
def process_group(
    command: Sequence[str],
    port: int,
    *,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server, ready once it listens at `port`; at the end it goes, and all that it started.

    It sees neither the checkout nor this Python's packages: PYTHONPATH and the like are left out.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=cwd,
            env={**given, **(environment or {})},
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all of its group: gently, and then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        tail = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}: {tail}"
        assert time.monotonic() < end, f"{process.args!r} does not listen at {port}: {tail}"
        time.sleep(0.1)
