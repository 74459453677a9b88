"""Bit planes: a permutation of a byte's bits or nibbles becomes linear, and inverting a bit a change of sign."""

from __future__ import annotations

import keras
from keras import ops

from lpe.train.front_ends.layer import FrontEndLayer
from lpe.train.keras_types import Tensor


def planes(image: Tensor, dtype: str) -> Tensor:
    """Bytes [..., C] -> their bits as -1 and 1, [..., C, 8], lowest first."""
    shifts = ops.arange(8, dtype="int32")
    bits = ops.bitwise_and(ops.right_shift(ops.cast(image, "int32")[..., None], shifts), 1)
    return ops.cast(bits, dtype) * 2 - 1


@keras.saving.register_keras_serializable("lpe.train")
class BitPlanes(FrontEndLayer):
    """Bytes [N, H, W, C] -> float [N, H, W, 8 C], -1 or 1."""

    def call(self, image: Tensor) -> Tensor:
        """The bits of each byte of a pixel, lowest first."""
        height, width, channels = image.shape[1:]
        return ops.reshape(planes(image, self.compute_dtype), (-1, height, width, 8 * channels))

    def compute_output_spec(self, image: Tensor) -> Tensor:
        """The output's shape and dtype."""
        *rest, channels = image.shape
        return keras.KerasTensor((*rest, 8 * channels), self.compute_dtype)
