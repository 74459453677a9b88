"""A fitted network as an encoder in whole numbers. Importing this module imports Keras."""

from __future__ import annotations

import math

import keras
import numpy as np

from lpe.train.reduction.network import EPSILON, PIXELS, SPREAD, outputs
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.convolution import Convolution
from lpe.transforms.reductions.encoder import Encoder

_MOST_WEIGHT = 32767
_MOST_ACTIVATION = 32767
"""Of the images that the scale is chosen by; others may have up to twice as much."""
_RELEASED = 255.0


def quantised(network: keras.Model, image_shape: ImageShape, side: int | None, images: np.ndarray) -> Encoder:
    """The encoder that a network is.

    Args:
      network: as `network.encoder` makes it, fitted.
      image_shape: of the owner's images.
      side: see `Encoder`.
      images: some of the images that it was fitted to, shrunk: activations are scaled by what they make of them.
    """
    of_kind = {
        kind: [layer for layer in network.layers if isinstance(layer, kind)]
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization, keras.layers.ReLU)
    }
    convolutions, norms, rectified = of_kind.values()
    between = [keras.Model(network.input, layer.output) for layer in rectified[:-1]]
    largest = [float(outputs(model, images).max()) for model in between]
    bits = round(math.log2(PIXELS))  # of what activations are multiplied by, before a convolution
    out = []
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        last = number == len(convolutions) - 1
        kernel, bias = _folded(convolution, norm)
        if last:
            kernel, bias = kernel * (_RELEASED / SPREAD), bias * (_RELEASED / SPREAD) + _RELEASED / 2
        weight_bits = _bits(np.abs(kernel).max(), _MOST_WEIGHT)
        after = 0 if last else min(_bits(largest[number], _MOST_ACTIVATION), weight_bits + bits)
        out.append(
            Convolution(
                np.round(kernel * 2.0**weight_bits).astype(np.int16),
                np.round(bias * 2.0 ** (weight_bits + bits)).astype(np.int64),
                int(convolution.strides[0]),
                weight_bits + bits - after,
            )
        )
        bits = after
    return Encoder(image_shape, side, tuple(out))


def _folded(
    convolution: keras.layers.Conv2D, norm: keras.layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias, float64, of a convolution with the normalisation after it."""
    numbers = {
        weight.name: np.asarray(keras.ops.convert_to_numpy(weight), np.float64) for weight in norm.weights
    }
    factor = numbers.get("gamma", 1.0) / np.sqrt(numbers["moving_variance"] + EPSILON)
    kernel = np.asarray(keras.ops.convert_to_numpy(convolution.kernel), np.float64)
    return kernel * factor, numbers.get("beta", 0.0) - numbers["moving_mean"] * factor


def _bits(largest: float, most: int) -> int:
    """The largest number of bits by which a value can be shifted left and still is `most` at most, 20 at most."""
    return min(20, math.floor(math.log2(most / max(float(largest), 1e-9))))
