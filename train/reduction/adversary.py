"""The adversary of a fit: a decoder that learns to restore images, and an encoder that learns to prevent it.

Importing this module imports Keras.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from lpe.train.keras_types import Layer, Tensor


class Adversary(Layer):
    """A decoder whose error training makes small by the decoder's weights, and large by the encoder's.

    The encoder gains nothing by an error larger than that of the mean image: an attacker who is led astray would take
    that. Errors count in means of the mean image's.

    Args:
      decoder: released values to images.
      weight: how much its error counts for the encoder.
      mean_image: of the images that are fitted to, float32 [H, W, C], of 0..1.
      mean_error: its mean squared error.
    """

    def __init__(
        self, decoder: keras.Model, weight: float, mean_image: np.ndarray, mean_error: float
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self._weight = weight
        self._mean_image = mean_image.astype(np.float32)
        self._mean_error = mean_error

    def call(self, released: Tensor, images: Tensor) -> Tensor:
        """The released values, unchanged; adds both parts of the loss."""
        wanted = ops.cast(images, "float32") / 255
        most = self._errors(self._mean_image, wanted)
        learning = self._errors(self.decoder(ops.stop_gradient(released)), wanted)
        hindered = ops.minimum(self._errors(self.decoder(released), wanted), most)
        # Of the decoder's gradient, the second part takes back what the factor has too much.
        self.add_loss(ops.mean(learning) * (1 + self._weight) - self._weight * ops.mean(hindered))
        return released

    def _errors(self, restored: Tensor, wanted: Tensor) -> Tensor:
        """Each image's error."""
        return ops.mean(ops.square(restored - wanted), axis=(1, 2, 3)) / self._mean_error
