"""Options that say how a network is trained, and how their values are read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
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
    """A recipe by name, or the model's own, with the changes that are not None.

    Raises:
      UsageError: an unknown recipe, or a value out of its range.
    """
    from lpe.train import recipes  # noqa: PLC0415

    chosen = recipes.recipe(name or recipes.recipe_for(model))
    return dataclasses.replace(chosen, **{key: value for key, value in changes.items() if value is not None})
