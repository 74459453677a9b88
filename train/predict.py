"""Class probabilities of images that are encrypted as the training images were."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from lpe.train import backend
from lpe.train.runs import Run
from lpe.transforms.errors import DataError

_BATCH = 256


def predict(run: Run, images: np.ndarray) -> np.ndarray:
    """What the run's network takes the images for.

    Encrypting them is up to the caller, who has the key: nothing here can.

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
    """`predict` for many calls: the network is loaded once, when it is first needed."""
    model = functools.cache(run.load_model)
    return lambda images: _predict(run, images, model)


def _predict(run: Run, images: np.ndarray, model: Callable[[], Any]) -> np.ndarray:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != run.image_shape:
        raise DataError(
            f"this model takes uint8 images of shape [N, {', '.join(map(str, run.image_shape))}], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if not len(images):
        return np.empty((0, len(run.class_names)), np.float32)
    with backend.one_device():
        return np.asarray(model().predict(images, batch_size=_BATCH, verbose=0), np.float32)
