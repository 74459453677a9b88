"""Encoder, head and decoder of a learned reduction. Importing this module imports Keras."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from lpe.train.keras_types import Layer, Tensor
from lpe.train.reduction.spec import FitSpec
from lpe.transforms.image_shape import ImageShape

PIXELS = 256.0
"""What pixels are divided by: a power of two, which a convolution in whole numbers has for nothing."""
SPREAD = 4.0
"""Standard deviations of the last convolution's results that the released values span."""
EPSILON = 1e-3
_HEAD = 64
_DECODER = 64
_CHUNK = 128


def encoder(spec: FitSpec, image_shape: ImageShape, shape: ImageShape) -> keras.Model:
    """Images, uint8 [N, H, W, C], to values of 0..1, float32 [N, H', W', K].

    Args:
      spec: what is fitted.
      image_shape: of the owner's images.
      shape: of the images that it takes, which are shrunk ones.
    """
    image = keras.Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / PIXELS)(image)
    stride = 2 if spec.halvings(image_shape) else 1
    for width in spec.widths(image_shape):
        for number in range(spec.convolutions):
            x = _convolution(x, width, 3, 1 if number else stride)
            x = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)(x)
            x = layers.ReLU()(x)
    x = _convolution(x, spec.channels, 1, 1)
    # No scale, no centre: each channel uses the whole range.
    x = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, scale=False, center=False)(x)
    x = layers.Rescaling(1 / SPREAD, 0.5)(x)
    return keras.Model(image, layers.ReLU(max_value=1.0)(x), name="encoder")


def head(released_shape: ImageShape, classes: int) -> keras.Model:
    """Released values, 0..1, float32 [N, H', W', K], to a logit for each class."""
    released = keras.Input(released_shape)
    x = layers.Rescaling(2.0, -1.0)(released)
    for number in range(2):
        if number and min(x.shape[1:3]) > 1:
            x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(_HEAD << number, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(released, layers.Dense(classes)(x), name="head")


def decoder(released_shape: ImageShape, image_shape: ImageShape) -> keras.Model:
    """Released values, 0..1, float32 [N, H', W', K], to images, about 0..1, float32 [N, H, W, C]."""
    rows, columns, channels = image_shape
    scale = max(math.ceil(rows / released_shape[0]), math.ceil(columns / released_shape[1]))
    released = keras.Input(released_shape)
    x = layers.Rescaling(2.0, -1.0)(released)
    for _ in range(3):
        x = layers.Conv2D(_DECODER, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(scale * scale * channels, 3, padding="same")(x)
    return keras.Model(released, Pixels(image_shape, scale)(x), name="decoder")


def outputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What a network makes of inputs, in chunks."""
    parts = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
    return np.concatenate([ops.convert_to_numpy(model(part, training=False)) for part in parts])


class Released(Layer):
    """Values of 0..1 as they are released: rounded to 255ths, with noise while the network is fitted.

    Gradients pass through as if nothing was done.

    Args:
      noise: its standard deviation, of 255.
    """

    def __init__(self, noise: float) -> None:
        super().__init__()
        self._noise = noise
        self._generator = keras.random.SeedGenerator()

    def call(self, values: Tensor, training: bool = False) -> Tensor:
        """The released values."""
        changed = values
        if training and self._noise:
            drawn = keras.random.normal(ops.shape(values), seed=self._generator)
            changed = ops.clip(values + drawn * (self._noise / 255), 0.0, 1.0)
        changed = ops.round(changed * 255) / 255
        return values + ops.stop_gradient(changed - values)


class Pixels(Layer):
    """Channels spread out as pixels, and half a range added.

    Args:
      image_shape: (H, W, C) of the results.
      scale: how many pixels, each way, the channels of one place are.
    """

    def __init__(self, image_shape: ImageShape, scale: int) -> None:
        super().__init__()
        self._image_shape = image_shape
        self._scale = scale

    def call(self, x: Tensor) -> Tensor:
        """float32 [N, h, w, scale · scale · C] -> [N, H, W, C]."""
        rows, columns, channels = self._image_shape
        height, width = x.shape[1:3]
        x = ops.reshape(x, (-1, height, width, self._scale, self._scale, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (-1, height * self._scale, width * self._scale, channels))
        return x[:, :rows, :columns] + 0.5


def _convolution(x: Tensor, channels: int, kernel: int, stride: int) -> Tensor:
    return layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False)(x)
