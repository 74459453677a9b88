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


FORMAT = Annotated[
    FileKind,
    typer.Option(
        "--format",
        help="The files to write: TFRecord, which TFDS reads, or Parquet, which Hugging Face's datasets, pandas and "
        "DuckDB read.",
        rich_help_panel=EXECUTION,
    ),
]
