"""lpe doctor."""

from __future__ import annotations

from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.options import JSON


def doctor(
    keystore: Annotated[
        str | None, typer.Option(metavar="DIR", help="A key store: unwrap each of its keysets.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="ROOT",
            help="Where datasets are or shall be, a folder or a place in a bucket (s3://, gs://): write, lock, read "
            "and delete a small file there.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Is there a core and memory for so many? \\[default: as many as cores]"
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Check what is installed, this machine, a key store and a storage; say what to do about each fault."""
    screen = Report("doctor", as_json=as_json)
    report = lpe.doctor(keystore, storage, workers)
    value = report.to_json()
    if report.faults:
        value |= {"status": "error", "error": f"{report.faults[0].name}: {report.faults[0].detail}"}
    screen.result(value, rows_table("doctor", *report.table()), lines=report.remedies)
    if report.faults:
        raise typer.Exit(1)
