"""Checks of this machine: cores and memory for workers, and space for temporary files."""

from __future__ import annotations

import shutil
import tempfile

from lpe.pipeline.engine.cores import usable_cores
from lpe.pipeline.engine.memory import WORKER_BYTES, free_memory
from lpe.pipeline.jobs.doctor.check import Check, Status, failed, fault

_LEAST_DISK = 10**9
"""Bytes: a shard that waits for its upload has up to 1 GB."""


def check_disk(name: str, path: str, remedy: str) -> Check:
    """Checks that a file system has space for a shard."""
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return failed(name, error)
    detail = f"{path}: {free / 1e9:,.1f} GB free"
    return fault(name, detail, remedy) if free < _LEAST_DISK else Check(name, "ok", detail)


def check_temporary_files() -> Check:
    """Checks the space for temporary files, where what is uploaded waits."""
    name, remedy = "temporary files", "free some space there, or export TMPDIR=FOLDER on a larger disk"
    try:
        return check_disk(name, tempfile.gettempdir(), remedy)
    except FileNotFoundError as error:  # no folder at all can be written to
        return fault(name, str(error), remedy)


def check_workers(workers: int | None) -> list[Check]:
    """Checks that there is a core, and memory, for each worker; without a number, for as many as there are cores."""
    cores = usable_cores()
    if workers is None:
        checks = [Check("cores", "ok", f"{cores}, all of which a job uses that is large enough")]
    elif workers > cores:
        detail = f"{cores} for {workers} workers, which then wait for each other"
        checks = [fault("cores", detail, f"give jobs here --workers {cores}")]
    else:
        checks = [Check("cores", "ok", f"{cores} for {workers} workers")]
    return [*checks, _check_memory(workers, cores)]


def _check_memory(asked: int | None, cores: int) -> Check:
    workers = asked or cores
    free = free_memory()
    detail = f"{free / 1e9:.1f} GB free, {free / workers / 1e9:.1f} GB for each of {workers} workers"
    if free >= workers * WORKER_BYTES:
        return Check("memory", "ok", detail)
    enough = free // WORKER_BYTES
    remedy = f"give jobs here --workers {enough}" if enough else "end other programs, or add memory"
    # A machine of many cores need not use all of them.
    status: Status = "fault" if asked or not enough else "note"
    return Check("memory", status, f"{detail}; each wants 0.5 GB", remedy)
