"""Optimisers that update all weights as one vector. Importing this module imports Keras.

Keras's own make some twenty operations for each variable: of the time in which TensorFlow traces a step of the network
`cnn`, two thirds, and of each step on few images a tenth. Here there are twenty in all; what is computed is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from lpe.train.keras_types import Optimizer, Tensor


class _Flat(Optimizer):
    """An optimiser whose state is some vectors, as long as all variables together; each variable has a gradient.

    Args:
      learning_rate: as for `keras.Optimizer`.
      decay: decoupled weight decay: each step takes learning rate × this off every weight.
      kwargs: as for `keras.Optimizer`.
    """

    STATE: ClassVar[tuple[str, ...]]

    def __init__(self, learning_rate: Any, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self._decay = decay

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the state for some variables."""
        if self.built:
            return
        super().build(variables)
        self._sizes = [math.prod(variable.shape) for variable in variables]
        self._state = [
            self.add_variable((sum(self._sizes),), dtype="float32", name=name) for name in self.STATE
        ]

    def change(self, gradient: Tensor, learning_rate: Tensor) -> Tensor:
        """Updates the state; what is to be taken off the variables besides their decay, float32 [all]."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "decay": self._decay}

    def _backend_update_step(
        self, gradients: Sequence[Tensor], variables: Sequence[Any], learning_rate: Tensor
    ) -> None:
        """Keras's hook for updating all variables at once."""
        rate = ops.cast(learning_rate, "float32")
        flat = ops.concatenate([ops.reshape(gradient, (-1,)) for gradient in gradients])
        change = self.change(ops.cast(flat, "float32"), rate)
        if self._decay:
            weights = ops.concatenate([ops.reshape(variable, (-1,)) for variable in variables])
            change = change + weights * (self._decay * rate)
        ends = [sum(self._sizes[:number]) for number in range(1, len(self._sizes))]
        for variable, part in zip(variables, ops.split(change, ends), strict=True):
            self.assign_sub(variable, ops.reshape(part, variable.shape))


@keras.saving.register_keras_serializable("lpe.train")
class AdamW(_Flat):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), with the constants of `keras.optimizers.AdamW`."""

    STATE = ("momentum", "velocity")

    def change(self, gradient: Tensor, learning_rate: Tensor) -> Tensor:
        """See `_Flat.change`."""
        first, second = 0.9, 0.999
        momentum, velocity = self._state
        step = ops.cast(self.iterations + 1, "float32")
        alpha = learning_rate * ops.sqrt(1 - ops.power(second, step)) / (1 - ops.power(first, step))
        mean = momentum + (gradient - momentum) * (1 - first)
        square = velocity + (ops.square(gradient) - velocity) * (1 - second)
        self.assign(momentum, mean)
        self.assign(velocity, square)
        return mean * alpha / (ops.sqrt(square) + 1e-7)


@keras.saving.register_keras_serializable("lpe.train")
class SGD(_Flat):
    """Gradient descent with Nesterov momentum 0.9 and decoupled weight decay."""

    STATE = ("momentum",)

    def change(self, gradient: Tensor, learning_rate: Tensor) -> Tensor:
        """See `_Flat.change`."""
        (momentum,) = self._state
        moved = momentum * 0.9 + gradient * learning_rate
        self.assign(momentum, moved)
        return moved * 0.9 + gradient * learning_rate
