"""The adversary of a fit: a decoder that learns to restore images, which the encoder learns to prevent.

Importing this module imports Keras.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from lpe.train.keras_types import Layer, Tensor
from lpe.train.reduction import network
from lpe.transforms.image_shape import ImageShape

_LEARNING_RATE = 2e-3
_STEPS = 2
"""Of the decoder, for each of the encoder: it must not fall behind, or the encoder only evades it."""


class Adversary:
    """A decoder that learns in steps of its own, and its copy, which says to the encoder what it restores.

    Args:
      released_shape: of what it sees.
      images: those that are fitted to, uint8 [N, H, W, C].
      batch: images in a step.
      random: what batches are drawn from.
    """

    def __init__(
        self, released_shape: ImageShape, images: np.ndarray, batch: int, random: np.random.Generator
    ) -> None:
        shape: ImageShape = images.shape[1:]
        self._decoder = network.decoder(released_shape, shape)
        self._decoder.compile(optimizer=keras.optimizers.Adam(_LEARNING_RATE), loss="mse")
        self._copy = network.decoder(released_shape, shape)
        self._copy.trainable = False
        self._images = images
        self._batch = batch
        self._random = random

    def hindrance(self, weight: float, mean_error: float) -> Hindrance:
        """The part of the encoder's loss that it makes: see there."""
        mean_image = (self._images.mean(axis=0) / 255).astype(np.float32)
        return Hindrance(self._copy, weight, mean_image, mean_error)

    def learn(self, release: keras.Model) -> None:
        """Makes some steps on what a network releases now."""
        for _ in range(_STEPS):
            images = self._images[self._random.integers(0, len(self._images), self._batch)]
            released = ops.convert_to_numpy(release.predict_on_batch(images))
            self._decoder.train_on_batch(released, images.astype(np.float32) / 255)
        self._copy.set_weights(self._decoder.get_weights())


class Hindrance(Layer):
    """Adds to the loss, as a gain, the error of what a decoder restores.

    None is larger than that of the mean image: an attacker who is led astray would take that. Errors count in means of
    the mean image's.

    Args:
      decoder: released values to images; its weights are not trained.
      weight: how much its error counts.
      mean_image: float32 [H, W, C], of 0..1.
      mean_error: its mean squared error.
    """

    def __init__(
        self, decoder: keras.Model, weight: float, mean_image: np.ndarray, mean_error: float
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self._weight = weight
        self._mean_image = mean_image
        self._mean_error = mean_error

    def call(self, released: Tensor, images: Tensor) -> Tensor:
        """The released values, unchanged."""
        wanted = ops.cast(images, "float32") / 255
        most = self._errors(self._mean_image, wanted)
        gain = ops.mean(ops.minimum(self._errors(self.decoder(released), wanted), most))
        self.add_loss(-self._weight * gain)
        return released

    def _errors(self, restored: Tensor, wanted: Tensor) -> Tensor:
        """Each image's error."""
        return ops.mean(ops.square(restored - wanted), axis=(1, 2, 3)) / self._mean_error
