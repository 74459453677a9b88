"""Keras's base classes and tensors as the type checker sees them. Importing this module imports Keras.

Keras has no annotations, so that each class derived from one of its own would go unchecked. Here the part of them that
this package uses is declared; at run time the names are Keras's own classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of Keras's backend, or a symbolic one (`keras.KerasTensor`)."""
Logs: TypeAlias = Mapping[str, float] | None
"""Metrics by name, as Keras hands them to callbacks."""

if TYPE_CHECKING:

    class Layer:
        """`keras.layers.Layer`."""

        compute_dtype: str
        dtype_policy: Any

        def __init__(self, **kwargs: Any) -> None: ...

        def __call__(self, *inputs: Tensor, **kwargs: Any) -> Tensor:
            """The layer's output for its inputs."""

        def build(self, shape: tuple[int, ...]) -> None:
            """Makes the weights for inputs of a shape."""

        def add_weight(self, **kwargs: Any) -> Any:
            """Makes a weight, a `keras.Variable`."""

        def add_loss(self, loss: Tensor) -> None:
            """Adds a scalar to what training minimises."""

        def get_config(self) -> dict[str, Any]:
            """The constructor's arguments."""
            raise NotImplementedError

    class Loss:
        """`keras.losses.Loss`."""

        def __init__(self, **kwargs: Any) -> None: ...

        def get_config(self) -> dict[str, Any]:
            """The constructor's arguments."""
            raise NotImplementedError

    class Optimizer:
        """`keras.Optimizer`."""

        built: bool
        iterations: Any

        def __init__(self, **kwargs: Any) -> None: ...

        def build(self, variables: Sequence[Any]) -> None:
            """Makes the optimiser's variables."""

        def add_variable(self, shape: tuple[int, ...], **kwargs: Any) -> Any:
            """Makes a variable of the optimiser's, of zeros."""

        def assign(self, variable: Any, value: Tensor) -> None:
            """Gives a variable a value."""

        def assign_sub(self, variable: Any, value: Tensor) -> None:
            """Takes a value off a variable."""

        def get_config(self) -> dict[str, Any]:
            """The constructor's arguments."""
            raise NotImplementedError

    class LearningRateSchedule:
        """`keras.optimizers.schedules.LearningRateSchedule`."""

    class Callback:
        """`keras.callbacks.Callback`."""

        model: Any

    class PyDataset:
        """`keras.utils.PyDataset`."""

        def __init__(self, workers: int = 1) -> None: ...

else:
    from keras import Optimizer
    from keras.callbacks import Callback
    from keras.layers import Layer
    from keras.losses import Loss
    from keras.optimizers.schedules import LearningRateSchedule
    from keras.utils import PyDataset

__all__ = ["Callback", "Layer", "LearningRateSchedule", "Logs", "Loss", "Optimizer", "PyDataset", "Tensor"]
