"""Options of a network's training, and the recipe that they stand for."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from lpe.pipeline.cli.completion import complete_precision, complete_recipe
from lpe.pipeline.cli.options import TRAINING
from lpe.train import recipes
from lpe.train.recipes import Recipe


def of_recipe(metavar: str, text: str, **more: Any) -> Any:
    """An option of the training that is the recipe's unless it is given."""
    return typer.Option(
        metavar=metavar, help=f"{text} \\[default: the recipe's]", rich_help_panel=TRAINING, **more
    )


RECIPE = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How it is trained: small (AdamW; for minutes on a CPU), fast (SGD, one-cycle; for dozens of epochs on a "
        "GPU), madono (SGD, steps; 300 epochs). \\[default: by the model]",
        autocompletion=complete_recipe,
        rich_help_panel=TRAINING,
    ),
]
BATCH_SIZE = Annotated[int | None, of_recipe("N", "Images per step.", min=1)]
LEARNING_RATE = Annotated[float | None, of_recipe("X", "Peak learning rate.")]
PRECISION = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="float32, mixed_bfloat16 or mixed_float16: faster on most accelerators.",
        autocompletion=complete_precision,
        rich_help_panel=TRAINING,
    ),
]
TRAIN_IMAGES = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Train on so many of the training images, evenly spread. \\[default: all]",
        rich_help_panel=TRAINING,
    ),
]


def chosen_recipe(model: str, name: str | None, **changes: Any) -> Recipe:
    """The recipe of this name, or the model's own, with the changes that are not None.

    Raises:
      UsageError: an unknown recipe, or a value out of its range.
    """
    chosen = recipes.recipe(name or recipes.recipe_for(model))
    return dataclasses.replace(chosen, **{key: value for key, value in changes.items() if value is not None})
