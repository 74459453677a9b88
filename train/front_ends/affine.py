"""An affine map of each position's bits: XOR with a key, as in PBE and CPBE, is undone by the right signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from lpe.train.front_ends.bit_planes import planes


@keras.saving.register_keras_serializable("lpe")
class PositionAffine(keras.layers.Layer):
    """Bytes [N, H, W, C] -> float [N, H, W, C]: eight weights and an offset for every byte's place, all learned.

    At the start it is the byte's value, scaled to -1..1.
    """

    @staticmethod
    def settings(encryption: Mapping[str, Any] | None, readings: int) -> dict[str, Any]:
        """What the layer needs of what is public about the encryption: nothing."""
        return {}

    def build(self, shape: tuple[int, ...]) -> None:
        places = tuple(shape[1:])
        powers = np.broadcast_to((2.0 ** np.arange(8) / 255).astype(np.float32), (*places, 8))
        self.signs = self.add_weight(
            shape=(*places, 8), initializer=lambda *_, **__: ops.array(powers), name="signs"
        )
        self.offset = self.add_weight(shape=places, initializer="zeros", name="offset")

    def call(self, image: Any) -> Any:
        return ops.sum(planes(image, self.compute_dtype) * self.signs, axis=-1) + self.offset

    def compute_output_spec(self, image: Any) -> keras.KerasTensor:
        return keras.KerasTensor(image.shape, self.compute_dtype)
