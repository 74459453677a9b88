"""Optimiser, schedule and loss of a recipe, in Keras. Importing this module imports Keras."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from lpe.train import flat_optimizers
from lpe.train.keras_types import LearningRateSchedule, Loss, Tensor
from lpe.train.recipes import Recipe


@keras.saving.register_keras_serializable("lpe.train")
class LearningRate(LearningRateSchedule):
    """A recipe's learning rate over all steps of a training.

    Args:
      recipe: its highest learning rate, its schedule and its warm-up.
      steps: how many there are in all.
    """

    def __init__(self, recipe: Recipe, steps: int) -> None:
        self._recipe = recipe
        self._steps = steps

    def __call__(self, step: Tensor) -> Tensor:
        """The learning rate of a step, from 0: a float32 scalar."""
        recipe = self._recipe
        done = ops.cast(step, "float32") / self._steps
        rest = ops.clip((done - recipe.warm_up) / (1 - recipe.warm_up), 0.0, 1.0)
        if recipe.schedule == "cosine":
            falling = 0.5 * (1 + ops.cos(math.pi * rest))
        elif recipe.schedule == "one-cycle":
            falling = 1 - rest
        else:
            falling = ops.where(done < 0.5, 1.0, ops.where(done < 0.75, 0.1, 0.01))
        rising = ops.minimum(done / recipe.warm_up, 1.0) if recipe.warm_up else 1.0
        return recipe.learning_rate * rising * falling

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {"recipe": dataclasses.asdict(self._recipe), "steps": self._steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRate:
        """The inverse of `get_config`, for loading."""
        return cls(Recipe(**config["recipe"]), config["steps"])


def optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """A recipe's optimiser for `steps` steps in all."""
    settings: dict[str, Any] = {
        "decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip_norm,
        "use_ema": recipe.ema is not None,
    }
    if recipe.ema is not None:
        settings["ema_momentum"] = recipe.ema
    rate = LearningRate(recipe, steps)
    if recipe.optimizer == "sgd":
        return flat_optimizers.SGD(rate, **settings)
    return flat_optimizers.AdamW(rate, **settings)


@keras.saving.register_keras_serializable("lpe.train")
class CrossEntropy(Loss):
    """Cross-entropy of int labels [N] and probabilities [N, K], in nats.

    Args:
      smoothing: this much of each label is spread over all classes (Szegedy et al. 2016, section 7).
      name: Keras's name of it.
      kwargs: as for `keras.losses.Loss`.
    """

    def __init__(self, smoothing: float = 0.0, name: str = "cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **{"reduction": "mean_with_sample_weight", **kwargs})
        self._smoothing = smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each example, float [N]."""
        right = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        if not self._smoothing:
            return right
        any_class = -ops.mean(ops.log(ops.maximum(y_pred, 1e-7)), axis=-1)
        return (1 - self._smoothing) * right + self._smoothing * any_class

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "smoothing": self._smoothing}
