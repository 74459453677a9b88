"""Class probabilities of images that are encrypted as the training images were."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lpe.train import backend
from lpe.train.runs import Run
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of

if TYPE_CHECKING:
    import keras

_BATCH = 256
_FEW = 32
"""Images that are answered sooner than a function for many is traced."""


def predict(run: Run, images: np.ndarray) -> np.ndarray:
    """Class probabilities of images by a run's network.

    Encrypting the images is up to the caller, who has the key: nothing here can.

    Args:
      run: a finished run, from `lpe.train.runs.load_run`.
      images: uint8 [N, H, W, C], values 0..255, of the run's image shape.

    Returns:
      Probabilities, float32 [N, classes], in the order of `run.class_names`; each row sums to 1.

    Raises:
      DataError: images of another shape or type, or a damaged model file.
      UsageError: Keras is not installed.
    """
    return predictor(run)(images)


def predictor(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """`predict` for many calls: a function of the images.

    The network is loaded once, when it is first needed. For one thread: Keras's devices are set for the whole process.
    """
    model = functools.cache(run.load_model)
    return lambda images: _predict(run, images, model)


def check_images(images: np.ndarray, shape: ImageShape) -> None:
    """Raises DataError unless images are uint8 [N, H, W, C] of a model's shape (H, W, C)."""
    if images.dtype != np.uint8 or images.ndim != 4 or image_shape_of(images) != shape:
        raise DataError(
            f"this model takes uint8 images of shape [N, {', '.join(map(str, shape))}], "
            f"not {images.dtype} {list(images.shape)}"
        )


def _predict(run: Run, images: np.ndarray, model: Callable[[], keras.Model]) -> np.ndarray:
    check_images(images, run.image_shape)
    if not len(images):
        return np.empty((0, len(run.class_names)), np.float32)
    with backend.one_device():
        keras, network = backend.load(), model()
        # JAX compiles every operation that is called by itself: there one function of them all is faster.
        if len(images) <= _FEW and keras.config.backend() != "jax":
            answers = keras.ops.convert_to_numpy(network(images, training=False))
        else:
            answers = network.predict(images, batch_size=_BATCH, verbose=0)
        return np.asarray(answers, np.float32)
