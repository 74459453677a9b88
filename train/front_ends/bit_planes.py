"""Bytes as their bits: a permutation of bits or nibbles is then linear, and inverting one is a change of sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


def planes(image: Any, dtype: str) -> Any:
    """Bytes [..., C] -> their bits as -1 and 1, [..., C, 8], lowest first."""
    shifts = ops.arange(8, dtype="int32")
    bits = ops.bitwise_and(ops.right_shift(ops.cast(image, "int32")[..., None], shifts), 1)
    return ops.cast(bits, dtype) * 2 - 1


@keras.saving.register_keras_serializable("lpe")
class BitPlanes(keras.layers.Layer):
    """Bytes [N, H, W, C] -> float [N, H, W, 8 C], -1 or 1."""

    @staticmethod
    def settings(encryption: Mapping[str, Any] | None, readings: int) -> dict[str, Any]:
        """What the layer needs of what is public about the encryption: nothing."""
        return {}

    def call(self, image: Any) -> Any:
        height, width, channels = image.shape[1:]
        return ops.reshape(planes(image, self.compute_dtype), (-1, height, width, 8 * channels))

    def compute_output_spec(self, image: Any) -> keras.KerasTensor:
        *rest, channels = image.shape
        return keras.KerasTensor((*rest, 8 * channels), self.compute_dtype)
