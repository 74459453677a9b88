"""lpe audit."""

from __future__ import annotations

from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_adversary, complete_ciphers, complete_source
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import (
    ANY_KEYSTORE,
    ENCRYPTION,
    JSON,
    PARAM,
    REDUCE,
    KeyScope,
    cipher_names,
    cipher_params,
    dataset_name,
)

_ATTACKS = "Attacks"


@takes_image_options
def audit(
    output: Annotated[str, typer.Option(metavar="DIR", help="Directory of the report.")],
    dataset: Annotated[
        str | None, typer.Argument(help="An encrypted dataset of yours; its key says what is true.")
    ] = None,
    keystore: ANY_KEYSTORE = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Instead of a dataset: plain images, encrypted with fresh keys to be attacked; see lpe encrypt.",
            autocompletion=complete_source,
        ),
    ] = None,
    cipher: Annotated[
        str,
        typer.Option(
            "--cipher",
            "--ciphers",
            metavar="NAMES",
            help="With --source: schemes, comma-separated, or `all`.",
            autocompletion=complete_ciphers,
        ),
    ] = "lpe-100",
    param: PARAM = None,
    scope: Annotated[
        KeyScope | None,
        typer.Option(
            help="With --source: one key for the dataset, or one per image. \\[default: both]",
            rich_help_panel=ENCRYPTION,
        ),
    ] = None,
    reduce: REDUCE = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="PLAIN",
            help="With a dataset that was reduced: the plain dataset that it was made from, to compare with.",
        ),
    ] = None,
    adversary: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who attacks: ciphertext-only, known-plaintext, chosen-plaintext, or all.",
            autocompletion=complete_adversary,
            rich_help_panel=_ATTACKS,
        ),
    ] = "all",
    images: Annotated[int, typer.Option(min=10, metavar="N", help="How many images are sampled.")] = 500,
    classifier: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A model trained on plain images: does it see the same class?",
            rich_help_panel=_ATTACKS,
        ),
    ] = None,
    learned: Annotated[
        bool,
        typer.Option(
            "--learned",
            help="Also train networks to invert the encryption (extra train, minutes).",
            rich_help_panel=_ATTACKS,
        ),
    ] = False,
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Attack an encryption as adversaries would, and report what they got back."""
    screen = Report("audit", as_json=as_json)
    params = cipher_params(param)
    names = cipher_names(cipher)
    for name in names if params else ():
        checks.check_cipher(name, params)
    checks.check_keystore(keystore)
    checks.check_reduction(reduce)
    if classifier is not None:
        checks.check_run(classifier)
    spec = lpe.AuditSpec(
        output=output,
        dataset=None if dataset is None else dataset_name(dataset, "DATASET"),
        keystore=keystore,
        against=None if against is None else dataset_name(against, "--against"),
        read=None if source is None else reading.read_spec(source),
        reduction=reduce or "",
        ciphers=tuple(names),
        params=params,
        scopes=("dataset", "image") if scope is None else (scope.value,),
        adversaries=checks.chosen_adversaries(adversary),  # type: ignore[arg-type]
        images=images,
        classifier=classifier,
        learned=learned,
    )
    if spec.dataset is not None:
        checks.check_dataset(spec.dataset)
    report = lpe.audit(spec, screen.note, screen.status)
    screen.result(
        report.to_json(),
        rows_table(report.title, *report.table()),
        lines=(f"report: {report.page}",),
    )
