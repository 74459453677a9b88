"""lpe inspect."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_source
from lpe.pipeline.cli.console import Report, properties_table, rows_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import CIPHER, JSON


@takes_image_options
def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Where images come from, as --source of lpe ingest, e.g. folder:PATH.",
            autocompletion=complete_source,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also draw a contact sheet, some images of each class as they are, as a PNG. \\[default: none]",
        ),
    ] = None,
    cipher: CIPHER = "lpe-100",
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Look at a source before anything is written: classes, sizes, odd files, duplicates, what it will take."""
    report = Report("inspect", as_json=as_json)
    if output is not None:
        checks.check_picture(output)
    checks.check_cipher(cipher, {})
    found = lpe.inspect(reading.read_spec(source), cipher, output, report)
    report.result(
        found.to_json(),
        properties_table(f"inspect {source}", found.properties()),
        rows_table("readable images", *found.classes.table()),
        lines=(*found.notes, *map(str, found.advice), _next(found, reading)),
    )


def _next(found: lpe.Inspection, reading: ImageOptions) -> str:
    """The command line that follows, with the options that it needs."""
    source = shlex.quote(found.source)
    if found.source.startswith("dataset:"):
        return f"next: lpe encrypt --source {source} --output enc/{found.name} --keystore DIR --key NAME"
    needed = [advice.options[0] for advice in found.advice if advice.needed]
    words = [
        "next: lpe ingest --source",
        source,
        *reading.words(),
        *needed,
        "--output",
        f"plain/{found.name}",
    ]
    return " ".join(words)
