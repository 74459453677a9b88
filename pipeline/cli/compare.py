"""lpe compare."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli import checks
from lpe.pipeline.cli.completion import complete_front_end
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.image_options import AS_THEY_ARE, ImageOptions, takes_image_options
from lpe.pipeline.cli.options import (
    AUGMENT,
    AUGMENT_SEED,
    CIPHERS,
    COPIES,
    DATA_KEY,
    EPOCHS,
    JSON,
    MODEL,
    SOURCE,
    TRAINING,
    VALIDATION,
    augmentation_of,
    cipher_names,
)
from lpe.pipeline.cli.recipe import BATCH_SIZE, LEARNING_RATE, PRECISION, RECIPE, TRAIN_IMAGES, chosen_recipe


class Controls(enum.StrEnum):
    """Sets of controls without a key."""

    all = "all"
    none = "none"


@takes_image_options
def compare(
    ctx: typer.Context,
    source: SOURCE,
    output: Annotated[
        str,
        typer.Option(metavar="DIR", help="The work directory, with the report; it holds plain images."),
    ],
    ciphers: CIPHERS = "all",
    controls: Annotated[
        Controls,
        typer.Option(
            metavar="all|none",
            help="Also compare what gives away less without any key, the usual set: thumbnails, noise, blur, few bits.",
        ),
    ] = Controls.none,
    control: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHAIN",
            help="Also compare this control, e.g. thumbnail=16 or thumbnail=16,noise=32, as of encrypt --reduce; "
            "repeatable.",
        ),
    ] = None,
    data_key: DATA_KEY = None,
    model: MODEL = "cnn",
    front_end: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The key-free front end; `auto`: the one that is meant for each scheme; or `none`.",
            autocompletion=complete_front_end,
            rich_help_panel=TRAINING,
        ),
    ] = "auto",
    as_it_is: Annotated[
        bool,
        typer.Option(
            "--as-it-is",
            help="Also train on ciphertexts without a front end, each scheme in a line of its own.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    epochs: EPOCHS = 10,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Networks of each kind, with seeds 0, 1, …")
    ] = 3,
    train_images: TRAIN_IMAGES = None,
    recipe: RECIPE = None,
    batch_size: BATCH_SIZE = None,
    learning_rate: LEARNING_RATE = None,
    precision: PRECISION = "float32",
    audit_images: Annotated[
        int,
        typer.Option(
            min=10,
            metavar="N",
            help="Ciphertexts for the attacks; four of five are learnt from.",
            rich_help_panel=TRAINING,
        ),
    ] = 500,
    augment: AUGMENT = None,
    copies: COPIES = None,
    augment_seed: AUGMENT_SEED = 0,
    validation_fraction: VALIDATION = None,
    reading: ImageOptions = AS_THEY_ARE,
    as_json: JSON = False,
) -> None:
    """Train one model on every scheme: accuracy as it is, behind a front end, and after the best attack."""
    from lpe.pipeline.compare.schemes import ALL_CONTROLS  # noqa: PLC0415  (NumPy)

    screen = Report("compare", as_json=as_json)
    checks.check_network(model, front_end, precision)
    spec = lpe.CompareSpec(
        read=reading.read_spec(source, validation_fraction, data_key=data_key),
        work=output,
        ciphers=tuple(cipher_names(ciphers)),
        controls=(*(ALL_CONTROLS if controls is Controls.all else ()), *(control or ())),
        model=model,
        front_end=front_end,
        as_it_is=as_it_is,
        epochs=epochs,
        recipe=chosen_recipe(model, recipe, batch_size=batch_size, learning_rate=learning_rate),
        precision=precision,  # type: ignore[arg-type]
        seeds=seeds,
        images=train_images,
        audit_images=audit_images,
        augmentation=augmentation_of(augment, copies, augment_seed),
        beam=tuple(ctx.args),
    )
    comparison = lpe.compare(spec, screen)
    screen.result(
        comparison.to_json(),
        rows_table("test accuracy", *comparison.table()),
        lines=(
            comparison.setting,
            *filter(None, [comparison.legend]),
            *comparison.verdict,
            comparison.caveat,
            f"report: {comparison.page}",
        ),
    )
