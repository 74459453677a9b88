"""An affine map of the bits of each byte's place: the right signs undo XOR with a key, as in PBE and CPBE."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from lpe.train.front_ends.bit_planes import planes
from lpe.train.front_ends.layer import FrontEndLayer
from lpe.train.keras_types import Tensor


@keras.saving.register_keras_serializable("lpe.train")
class PositionAffine(FrontEndLayer):
    """Bytes [N, H, W, C] -> float [N, H, W, C]: eight weights and an offset for every byte's place, all learned.

    At the start it is the byte's value, scaled to -1..1.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        """Makes the weights for inputs of shape (None, H, W, C)."""
        places = tuple(shape[1:])
        powers = np.broadcast_to((2.0 ** np.arange(8) / 255).astype(np.float32), (*places, 8))
        self.signs = self.add_weight(
            shape=(*places, 8), initializer=lambda *_, **__: ops.array(powers), name="signs"
        )
        self.offset = self.add_weight(shape=places, initializer="zeros", name="offset")

    def call(self, image: Tensor) -> Tensor:
        """The weighted sum of each byte's bits, and the offset of its place."""
        return ops.sum(planes(image, self.compute_dtype) * self.signs, axis=-1) + self.offset

    def compute_output_spec(self, image: Tensor) -> Tensor:
        """The output's shape and dtype."""
        return keras.KerasTensor(image.shape, self.compute_dtype)
