"""The adversary of a fit: a decoder that learns to restore images, and an encoder that learns to prevent it.

Importing this module imports Keras.
"""

from __future__ import annotations

import keras
from keras import ops

from lpe.train.keras_types import Layer, Tensor


class Adversary(Layer):
    """A decoder whose error training makes small by the decoder's weights, and large by the encoder's.

    Errors are measured in those of the mean image, and the encoder gains nothing by one larger than 1: an attacker
    who is led astray would take the mean image.

    Args:
      decoder: released values to images.
      weight: how much its error counts for the encoder.
      mean_error: the mean squared error of the mean image, of pixels of 0..1.
    """

    def __init__(self, decoder: keras.Model, weight: float, mean_error: float) -> None:
        super().__init__()
        self.decoder = decoder
        self._weight = weight
        self._mean_error = mean_error

    def call(self, released: Tensor, images: Tensor) -> Tensor:
        """The released values, unchanged; adds both parts of the loss."""
        wanted = ops.cast(images, "float32") / 255
        self.add_loss(ops.mean(self._errors(ops.stop_gradient(released), wanted)) * (1 + self._weight))
        # Below 1 this takes back of the decoder's gradient what the factor above has too much.
        self.add_loss(-self._weight * ops.mean(ops.minimum(self._errors(released, wanted), 1.0)))
        return released

    def _errors(self, released: Tensor, wanted: Tensor) -> Tensor:
        """Each image's error."""
        squares = ops.square(self.decoder(released) - wanted)
        return ops.mean(squares, axis=(1, 2, 3)) / self._mean_error
