"""The option for the kind of files that a job writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lpe.pipeline.cli.options import EXECUTION


class FileKind(StrEnum):
    """Values of `--format`."""

    tfrecord = "tfrecord"
    parquet = "parquet"


_HELP = "The files to write: TFRecord, for TFDS, or Parquet, for Hugging Face's datasets, pandas and DuckDB."
FORMAT = Annotated[FileKind, typer.Option("--format", help=_HELP, rich_help_panel=EXECUTION)]
FORMAT_OR_KEPT = Annotated[
    FileKind | None,
    typer.Option(
        "--format",
        help=f"{_HELP} \\[default: tfrecord; with --append as they are]",
        rich_help_panel=EXECUTION,
    ),
]
