"""lpe compare."""

from __future__ import annotations

from typing import Annotated

import typer

import lpe
from lpe.pipeline.cli.console import Report, rows_table
from lpe.pipeline.cli.options import (
    AUGMENT,
    AUGMENT_SEED,
    COPIES,
    EPOCHS,
    GREY,
    IMAGE_SIZE,
    JSON,
    MODEL,
    SOURCE,
    VALIDATION,
    augmentation_of,
    cipher_names,
    read_spec,
)
from lpe.pipeline.cli.recipe import BATCH_SIZE, LEARNING_RATE, PRECISION, RECIPE, TRAIN_IMAGES, chosen_recipe


def compare(
    ctx: typer.Context,
    source: SOURCE,
    output: Annotated[str, typer.Option(help="The work directory, with the report; it holds plain images.")],
    ciphers: Annotated[str, typer.Option(help="Schemes, comma-separated, or `all`.")] = "all",
    model: MODEL = "cnn",
    front_end: Annotated[
        str, typer.Option(help="The key-free front end; `auto`: the one that is meant for each scheme.")
    ] = "auto",
    epochs: EPOCHS = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Networks of each kind, with seeds 0, 1, …")] = 3,
    train_images: TRAIN_IMAGES = None,
    recipe: RECIPE = None,
    batch_size: BATCH_SIZE = None,
    learning_rate: LEARNING_RATE = None,
    precision: PRECISION = "float32",
    audit_images: Annotated[
        int, typer.Option(min=10, help="Ciphertexts for the attacks; four of five are learnt from.")
    ] = 500,
    augment: AUGMENT = None,
    copies: COPIES = None,
    augment_seed: AUGMENT_SEED = 0,
    validation_fraction: VALIDATION = None,
    image_size: IMAGE_SIZE = "same",
    grey: GREY = False,
    as_json: JSON = False,
) -> None:
    """Train one model on every scheme: accuracy as it is, behind a front end, and after the best attack."""
    screen = Report("compare", as_json=as_json)
    spec = lpe.CompareSpec(
        read=read_spec(source, image_size, grey, validation_fraction, False),
        work=output,
        ciphers=tuple(cipher_names(ciphers)),
        model=model,
        front_end=front_end,
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
    headings = ["scheme", "ciphertext", "front end", "restored", "points lost", "best attack"]
    rows = [
        [row.cipher, *row.accuracy_texts, " / ".join(filter(None, row.lost_texts)), row.reconstruction]
        for row in comparison.rows
    ]
    screen.result(
        comparison.to_json(),
        rows_table("test accuracy", headings, rows),
        lines=(comparison.setting, comparison.caveat, f"report: {comparison.page}"),
    )
