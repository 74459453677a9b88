"""Options of a network's training, and the recipe that they stand for."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from lpe.train import recipes
from lpe.train.recipes import Recipe

RECIPE = Annotated[
    str | None,
    typer.Option(
        help="How it is trained: small (AdamW; for minutes on a CPU), fast (SGD, one-cycle; for dozens of epochs on a "
        "GPU), madono (SGD, steps; 300 epochs). [default: by the model]"
    ),
]
BATCH_SIZE = Annotated[int | None, typer.Option(min=1, help="Images per step. [default: the recipe's]")]
LEARNING_RATE = Annotated[float | None, typer.Option(help="Peak learning rate. [default: the recipe's]")]
PRECISION = Annotated[
    str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16: faster on most accelerators.")
]
TRAIN_IMAGES = Annotated[
    int | None, typer.Option(min=1, help="Train on so many of the training images, evenly spread.")
]


def chosen_recipe(model: str, name: str | None, **changes: Any) -> Recipe:
    """The recipe of this name, or the model's own, with the changes that are not None.

    Raises:
      UsageError: an unknown recipe, or a value out of its range.
    """
    chosen = recipes.recipe(name or recipes.recipe_for(model))
    return dataclasses.replace(chosen, **{key: value for key, value in changes.items() if value is not None})
