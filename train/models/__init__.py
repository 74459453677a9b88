"""Networks by name: one file per model, each with `build(image_shape, num_classes)`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from train import backend
from transforms.errors import UsageError

if TYPE_CHECKING:
    import keras

_MODELS = {"cnn": "train.models.cnn"}


def names() -> list[str]:
    """The names that `build` knows. Does not import TensorFlow."""
    return list(_MODELS)


def build(name: str, image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A fresh network from uint8 images [N, H, W, C] to class probabilities, float32 [N, num_classes].

    Weights are drawn from Keras's global seed (`keras.utils.set_random_seed`).

    Raises:
      UsageError: unknown name, images that the model does not take, or no TensorFlow.
    """
    if name not in _MODELS:
        raise UsageError(f"unknown model {name!r}; models are {', '.join(_MODELS)}")
    backend.load()
    return importlib.import_module(_MODELS[name]).build(image_shape, num_classes)
