"""lpe compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

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

if TYPE_CHECKING:
    from rich.table import Table

    from lpe.pipeline.compare.table import Row


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
    from lpe.pipeline.cli.console import Report  # noqa: PLC0415
    from lpe.pipeline.compare import report, table  # noqa: PLC0415
    from lpe.pipeline.compare.comparison import compare as run_comparison  # noqa: PLC0415
    from lpe.pipeline.compare.trials import CompareSpec  # noqa: PLC0415
    from lpe.pipeline.engine import runners  # noqa: PLC0415
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415

    console = Report("compare", as_json=as_json)
    beam = tuple(ctx.args)
    runners.check_waited_for(beam_options(beam), "compare")
    names = cipher_names(ciphers)
    spec = CompareSpec(
        read=read_spec(source, image_size, grey, validation_fraction, False),
        work=output,
        ciphers=("plain", *(name for name in names if name != "plain")),
        model=model,
        front_end=front_end,
        epochs=epochs,
        recipe=chosen_recipe(model, recipe, batch_size=batch_size, learning_rate=learning_rate),
        precision=precision,  # type: ignore[arg-type]
        seeds=seeds,
        images=train_images,
        audit_images=audit_images,
        augmentation=augmentation_of(augment, copies, augment_seed),
        beam=beam,
    )
    compared = run_comparison(spec, console)
    value = report.write(compared)
    lines = (table.setting(compared), table.LEAKAGE, f"report: {output}/report.html")
    console.result({"output": output, **value}, _table(table.rows(compared)), lines=lines)


def _table(rows: list[Row]) -> Table:
    from lpe.pipeline.cli.console import rows_table  # noqa: PLC0415
    from lpe.pipeline.compare.figures import shown_psnr  # noqa: PLC0415
    from lpe.pipeline.compare.trials import KINDS  # noqa: PLC0415

    lines: list[list[Any]] = [
        [
            row.cipher,
            *(str(row.accuracies.get(kind, "")) for kind in KINDS),
            f"{row.gap:.1f} / {row.best_gap:.1f}",
            "" if row.psnr is None else shown_psnr(row.psnr),
        ]
        for row in rows
    ]
    heads = ["scheme", "ciphertext", "front end", "restored", "points lost", "best attack"]
    return rows_table("test accuracy", heads, lines)
