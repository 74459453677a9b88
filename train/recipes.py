"""Training recipes: optimiser, learning rate over the steps, regularisation."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

from lpe.transforms.errors import UsageError, did_you_mean

_FEW_IMAGES, _SMALL_BATCH = 12_800, 32
_STEPS = 220
_FEWEST_EPOCHS, _MOST_EPOCHS = 2, 30

Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "one-cycle", "step"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of a training.

    Attributes:
      optimizer: `adamw`, or `sgd` with Nesterov momentum 0.9.
      learning_rate: the highest of the schedule.
      schedule: after the warm-up, `cosine` and `one-cycle` (linear) fall to 0; `step` divides by ten after a half
        and three quarters of all steps.
      warm_up: share of all steps in which the learning rate rises linearly from 0.
      weight_decay: decoupled: each step takes learning rate × this off every weight.
      batch_size: images in a step.
      label_smoothing: this much of each label is spread over all classes.
      clip_norm: gradients are shortened to this norm; None for as they are.
      ema: decay per step of a moving average of the weights, which is what is validated and kept; None for the
        weights themselves.

    Raises:
      UsageError: a value out of its range.
    """

    optimizer: Optimizer = "adamw"
    learning_rate: float = 2e-3
    schedule: Schedule = "cosine"
    warm_up: float = 0.1
    weight_decay: float = 0.02
    batch_size: int = 128
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    ema: float | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("optimizer", self.optimizer, get_args(Optimizer)),
            ("schedule", self.schedule, get_args(Schedule)),
        ):
            if value not in known:
                hint = did_you_mean(value, known)
                raise UsageError(f"unknown {name} {value!r}; there is {', '.join(known)}{hint}")
        if not 0 < self.learning_rate < 1:
            raise UsageError(f"the learning rate must lie between 0 and 1, not {self.learning_rate}")
        if self.batch_size < 1:
            raise UsageError(f"the batch size must be at least 1, not {self.batch_size}")
        for name, share in (
            ("warm-up", self.warm_up),
            ("weight decay", self.weight_decay),
            ("label smoothing", self.label_smoothing),
            ("EMA decay", self.ema or 0.0),
        ):
            if not 0 <= share < 1:
                raise UsageError(f"the {name} must be in [0, 1), not {share}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UsageError(f"the norm that gradients are clipped to must be above 0, not {self.clip_norm}")


RECIPES = {
    # For runs of minutes on a CPU.
    "small": Recipe(),
    # For a few dozen epochs on a GPU.
    "fast": Recipe(
        "sgd", 0.2, "one-cycle", 0.2, 5e-3, batch_size=512, label_smoothing=0.1, clip_norm=5.0, ema=0.999
    ),
    # Madono et al. 2020: 300 epochs, step decay at 150 and 225. Their weight decay of 5e-4 goes through the momentum
    # of 0.9, which multiplies it by ten.
    "madono": Recipe("sgd", 0.1, "step", 0.0, 5e-3, batch_size=512),
}
"""The recipes by name."""


def recipe_for(model: str) -> str:
    """The name of the recipe that a model is trained by unless another is asked for."""
    if model in ("cnn", "vit", "convmixer"):
        return "small"
    return "madono" if model.startswith("pyramidnet") else "fast"


def quick(recipe: Recipe, images: int) -> tuple[Recipe, int]:
    """A recipe and a number of epochs that show what a network can learn from so many images, and soon.

    Few images are taken in small batches, so that each is seen a few times only (4,000 generated images under lpe-100:
    2 epochs in batches of 32 give 95 %, 4 epochs in batches of 128 give 93 %).
    """
    few = images < _FEW_IMAGES
    batch_size = min(recipe.batch_size, _SMALL_BATCH) if few else recipe.batch_size
    steps = max(1, images // batch_size)
    fewest = _FEWEST_EPOCHS if few else 2 * _FEWEST_EPOCHS
    epochs = max(fewest, min(_MOST_EPOCHS, math.ceil(_STEPS / steps)))
    return dataclasses.replace(recipe, batch_size=batch_size), epochs


def recipe(name: str) -> Recipe:
    """A recipe by name. Raises UsageError for an unknown one."""
    if name not in RECIPES:
        raise UsageError(
            f"unknown recipe {name!r}; recipes are {', '.join(RECIPES)}{did_you_mean(name, RECIPES)}"
        )
    return RECIPES[name]
