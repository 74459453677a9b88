"""A job run by the command: its progress, its summary, its processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import lpe
from lpe.pipeline.cli.console import Report, properties_table, reading_lines
from lpe.pipeline.cli.options import OnBadRecord
from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    from lpe.pipeline.records import FileFormat


def run_job(
    command: str,
    job: Callable[[lpe.JobSpec], lpe.JobResult],
    read: lpe.ReadSpec,
    home: str,
    beam: Sequence[str],
    *,
    on_bad_record: OnBadRecord = OnBadRecord.fail,
    file_format: FileFormat | None = None,
    workers: str,
    as_json: bool,
) -> None:
    """Runs a job with progress and prints its summary.

    Args:
      command: its name.
      job: what is run.
      read: the input.
      home: the dataset's home.
      beam: Beam's options, which are checked first.
      on_bad_record: see `BAD_RECORD`.
      file_format: see `JobSpec`.
      workers: see `WORKERS`.
      as_json: see `JSON`.
    """
    report = Report(command, as_json=as_json)
    if command in ("ingest", "encrypt"):
        _warn_of_name(home, report)
    with report.progress(command) as update:
        spec = lpe.JobSpec(
            read=read,
            home=home,
            beam=tuple(beam),
            skip_bad_records=on_bad_record is OnBadRecord.skip,
            progress=update,
            processes=process_count(workers),
            file_format=file_format,
        )
        try:
            result = job(spec)
        except lpe.JobStaged as staged:
            report.staged(staged.template, home)
            return
    report.result(
        result.to_json(),
        properties_table(command, result.properties()),
        lines=(*result.notes, *reading_lines(result.dataset)),
    )


def _warn_of_name(home: str, report: Report) -> None:
    """Prints that `tfds.load` reads another dataset of the name, if TFDS has one."""
    from lpe.pipeline.dataset.tfds_names import TFDS_NAMES  # noqa: PLC0415  (pyarrow is slow to import)

    name = home.rstrip("/").rpartition("/")[2]
    if name in TFDS_NAMES:
        report.note(
            f"warning: TFDS has a {name} of its own: tfds.load({name!r}) reads that, and may download it, instead of "
            f"this one; name the home otherwise, e.g. my_{name}, or read it with tfds.builder_from_directory"
        )


def process_count(workers: str) -> int | None:
    """What `--workers` asks for; None for `auto`. Raises UsageError for what is neither that nor a number from 1."""
    if workers == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,4}", workers) or int(workers) < 1:
        raise UsageError(f"--workers {workers}: give a number from 1, or auto")
    return int(workers)


def check_beam_options(words: Sequence[str]) -> None:
    """Raises UsageError for options that neither `lpe` nor Beam knows."""
    from lpe.pipeline.engine import runners  # noqa: PLC0415  (the engine is slow to import)

    runners.options(words)
