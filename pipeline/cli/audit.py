"""lpe audit."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

import lpe
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.options import (
    ANY_KEYSTORE,
    GREY,
    IMAGE_SIZE,
    JSON,
    PARAM,
    KeyScope,
    cipher_names,
    cipher_params,
    read_spec,
)


def audit(
    output: Annotated[str, typer.Option(help="Directory of the report.")],
    dataset: Annotated[
        str | None, typer.Argument(help="An encrypted dataset of yours; its key says what is true.")
    ] = None,
    keystore: ANY_KEYSTORE = None,
    source: Annotated[
        str | None,
        typer.Option(help="Instead of a dataset: plain images, encrypted with fresh keys to be attacked."),
    ] = None,
    cipher: Annotated[
        str, typer.Option("--cipher", "--ciphers", help="With --source: schemes, comma-separated, or `all`.")
    ] = "lpe-100",
    param: PARAM = None,
    scope: Annotated[
        KeyScope | None,
        typer.Option(help="With --source: one key for the dataset, or one per image [default: both]."),
    ] = None,
    adversary: Annotated[
        Literal["all", "ciphertext-only", "known-plaintext", "chosen-plaintext"],
        typer.Option(help="Who attacks."),
    ] = "all",
    images: Annotated[int, typer.Option(min=10, help="How many images are sampled.")] = 500,
    classifier: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="A model trained on plain images: does it see the same class?"),
    ] = None,
    learned: Annotated[
        bool,
        typer.Option(
            "--learned", help="Also train networks to invert the encryption (extra train, minutes)."
        ),
    ] = False,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Attack an encryption as adversaries would, and report what they got back."""
    screen = Report("audit", as_json=as_json)
    spec = lpe.AuditSpec(
        output=output,
        dataset=dataset,
        keystore=keystore,
        read=read_spec(source, image_size, grey, None, False) if source is not None else None,
        ciphers=tuple(cipher_names(cipher)),
        params=cipher_params(param),
        scopes=("dataset", "image") if scope is None else (scope.value,),
        adversaries=lpe.AuditSpec.adversaries if adversary == "all" else (adversary,),
        images=images,
        classifier=classifier,
        learned=learned,
    )
    report = lpe.audit(spec, screen.note)
    screen.result(
        report.to_json(),
        rows_table(report.title, *report.table()),
        lines=(f"report: {report.page}",),
    )
