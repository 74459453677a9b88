"""doctor: all checks in order, and their report."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from lpe.pipeline.jobs.doctor import bucket, folder, installation, machine, training
from lpe.pipeline.jobs.doctor.check import Check, fault
from lpe.pipeline.jobs.doctor.clocks import check_clock
from lpe.pipeline.storage import is_remote
from lpe.transforms.tables import rows_html


@dataclasses.dataclass(frozen=True)
class DoctorReport:
    """What `doctor` found.

    Attributes:
      checks: a row each.
    """

    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """The checks that found what will fail; none if all is well."""
        return tuple(check for check in self.checks if check.status == "fault")

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do, one line each: faults first."""
        ordered = sorted(self.checks, key=lambda check: check.status != "fault")
        return tuple(f"{check.name}: {check.remedy}" for check in ordered if check.remedy)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of a summary table."""
        return ["check", "status", "found"], [
            [check.name, check.status, check.detail] for check in self.checks
        ]

    def _repr_html_(self) -> str:
        headings, rows = self.table()
        lines = [[*row, check.remedy or ""] for row, check in zip(rows, self.checks, strict=True)]
        return rows_html("doctor", [*headings, "what to do"], lines)

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is doctor's."""
        return {"ok": not self.faults, "checks": [dataclasses.asdict(check) for check in self.checks]}


def doctor(
    keystore: str | None = None, storage: str | None = None, workers: int | None = None
) -> DoctorReport:
    """Checks the installation, this machine and, where they are named, a key store and a place for datasets.

    Nothing is left behind: what is written into the place is deleted again. Nothing is raised for what is wrong
    with what is checked; that is in the report.

    Args:
      keystore: the key store's URI.
      storage: a folder or a bucket where datasets are or shall be, ROOT of ROOT/NAME.
      workers: for how many processes, `--workers`, the machine is to be enough. Default: as many as it has cores.
    """
    checks = [*installation.check_installation(), *training.check_training()]
    logged: datetime.datetime | None = None
    skew: datetime.timedelta | None = None
    if keystore is not None:
        found, logged = _check_keystore(keystore)
        checks += found
    if storage is not None and is_remote(storage):
        found, skew = bucket.check_bucket(storage)
        checks += found
    elif storage is not None:
        checks += folder.check_folder(storage)
    checks += [machine.check_temporary_files(), check_clock(logged, skew), *machine.check_workers(workers)]
    return DoctorReport(tuple(checks))


def _check_keystore(uri: str) -> tuple[list[Check], datetime.datetime | None]:
    try:
        from lpe.pipeline.jobs.doctor.keystore import check_keystore  # noqa: PLC0415  (Tink may be what is missing)
    except ImportError as error:
        return [
            fault("key store", f"cannot be read without Tink ({error})", "pip install --force-reinstall tink")
        ], None
    return check_keystore(uri)
