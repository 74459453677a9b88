"""The inverse of the chain over the pixels, which takes no key: each ciphertext pixel XOR the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from lpe.train.front_ends.layer import FrontEndLayer
from lpe.train.keras_types import Tensor


@keras.saving.register_keras_serializable("lpe.train")
class Dechain(FrontEndLayer):
    """uint8 [N, H, W, C] -> int32 [N, H, W, C], or [N, H, W, 2 C] with the ciphertext as it is before the XORs.

    Args:
      chain: `raster` or `row`, as the cipher's parameter.
      keep: whether some pixels are not chained, as in `lpe-50`, so that the ciphertext itself is needed too.
      kwargs: as for `keras.layers.Layer`.
    """

    def __init__(self, chain: str = "raster", keep: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain, self.keep = chain, keep

    @staticmethod
    def settings(encryption: Mapping[str, Any] | None, readings: int) -> dict[str, Any]:
        """How the cipher chains pixels, from its public parameters."""
        if encryption is None:
            return {}
        return {
            "chain": encryption["params"].get("chain", "raster"),
            "keep": encryption["cipher"] == "lpe-50",
        }

    def call(self, image: Tensor) -> Tensor:
        """The XORs, after the ciphertext where that is kept."""
        height, width, channels = image.shape[1:]
        values = ops.cast(image, "int32")
        line = width if self.chain == "row" else height * width
        lines = ops.reshape(values, (-1, line, channels))
        before = ops.pad(lines[:, :-1], ((0, 0), (1, 0), (0, 0)))
        undone = ops.reshape(ops.bitwise_xor(lines, before), (-1, height, width, channels))
        return ops.concatenate([values, undone], axis=-1) if self.keep else undone

    def compute_output_spec(self, image: Tensor) -> Tensor:
        """The output's shape and dtype."""
        *rest, channels = image.shape
        return keras.KerasTensor((*rest, 2 * channels if self.keep else channels), "int32")

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "chain": self.chain, "keep": self.keep}
