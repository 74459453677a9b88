"""A table of 256 values for each byte's place, which undoes any substitution that all images share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from lpe.train.front_ends.layer import FrontEndLayer
from lpe.train.front_ends.tables import brightness_tables
from lpe.train.keras_types import Tensor


@keras.saving.register_keras_serializable("lpe.train")
class PositionEmbedding(FrontEndLayer):
    """Bytes [N, H, W, S C] -> float [N, H, W, C]: a value for each byte at each place.

    At the start a table holds the byte itself, scaled to -1..1. `adapt_to` replaces it by what the ciphertexts'
    statistics say about the brightness that each byte stands for. Training leaves the tables alone: with 786,432
    entries for 32×32×3 bytes, a network that may change them learns the training images by heart (lpe-100, 16,000
    images, 4 epochs: 85 % in training, 62 % on others; left alone 68 % and 64 %).

    Args:
      readings: S, how many of each pixel the channels hold (2 after a `Dechain` that keeps the ciphertext).
        For each place the one that agrees better with its surroundings is taken.
      kwargs: as for `keras.layers.Layer`.
    """

    def __init__(self, readings: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.readings = readings

    @staticmethod
    def settings(encryption: Mapping[str, Any] | None, readings: int) -> dict[str, Any]:
        """How many values of each pixel the layer before gives."""
        return {"readings": readings}

    def build(self, shape: tuple[int, ...]) -> None:
        """Makes the tables for inputs of shape (None, H, W, S C)."""
        height, width, channels = shape[1:]
        self.places = height * width * channels // self.readings
        # Bytes, 0 for -1 and 255 for 1: a quarter of what floats would add to the model file.
        ramp = np.tile(np.arange(256, dtype=np.uint8), (self.places, 1))
        self.table = self.add_weight(
            shape=(self.places, 256),
            dtype="uint8",
            initializer=lambda *_, **__: ops.array(ramp),
            trainable=False,
            name="table",
        )
        self.chosen = self.add_weight(
            shape=(self.places,), dtype="int32", initializer="zeros", trainable=False, name="chosen"
        )

    def adapt_to(self, images: np.ndarray) -> None:
        """Fills the tables from bytes uint8 [N, H, W, S C]."""
        count, height, width, channels = images.shape
        channels //= self.readings
        chosen, tables = brightness_tables(
            self._readings(images, np).reshape(count, height, width, channels, self.readings)
        )
        self.chosen.assign(chosen)
        self.table.assign(np.rint((tables + 1) * 127.5).astype(np.uint8))

    def call(self, image: Tensor) -> Tensor:
        """Each byte's value in the table of its place."""
        height, width, channels = image.shape[1:]
        readings = ops.cast(self._readings(image, ops), "int32")
        values = readings[..., 0]
        for reading in range(1, self.readings):
            values = ops.where(self.chosen == reading, readings[..., reading], values)
        # One flat index is many times faster than a gather along an axis.
        places = ops.arange(self.places, dtype="int32") * 256
        table = ops.cast(ops.reshape(self.table, (-1,)), self.compute_dtype) / 127.5 - 1
        looked_up = ops.take(table, values + places)
        return ops.reshape(looked_up, (-1, height, width, channels // self.readings))

    def compute_output_spec(self, image: Tensor) -> Tensor:
        """The output's shape and dtype."""
        *rest, channels = image.shape
        return keras.KerasTensor((*rest, channels // self.readings), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "readings": self.readings}

    def _readings(self, image: Tensor, lib: Any) -> Tensor:
        """[N, H, W, S C] -> [N, H W C, S], with the functions of `lib`: NumPy or `keras.ops`."""
        height, width, channels = image.shape[1:]
        split = lib.reshape(image, (-1, height * width, self.readings, channels // self.readings))
        return lib.reshape(lib.transpose(split, (0, 1, 3, 2)), (-1, self.places, self.readings))
