"""ResNet-18 for images of 32×32 (He et al. 2016): a 3×3 first layer of stride 1, no pooling; 11.2 M parameters."""

from __future__ import annotations

import keras
from keras import layers

from lpe.transforms.errors import UsageError

SMALLEST_SIDE = 8
_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2  # of each width


def trunk(features: keras.KerasTensor) -> keras.KerasTensor:
    """Float [N, H, W, F], about -1..1 -> pooled features, float [N, 512].

    Args:
      features: the front end's output.

    Raises:
      UsageError: images smaller than 8×8.
    """
    if min(features.shape[1:3]) < SMALLEST_SIDE:
        raise UsageError(
            f"model resnet18 needs images of at least {SMALLEST_SIDE}×{SMALLEST_SIDE}, not {features.shape[1:]}; "
            "ingest them with a larger --image-size"
        )
    x = layers.ReLU()(_normalised_convolution(features, _WIDTHS[0], 1))
    for group, width in enumerate(_WIDTHS):
        for block in range(_BLOCKS):
            x = _block(x, width, 2 if group > 0 and block == 0 else 1)
    return layers.GlobalAveragePooling2D()(x)


def _block(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = _normalised_convolution(x, width, stride, size=1)
    x = layers.ReLU()(_normalised_convolution(x, width, stride))
    x = _normalised_convolution(x, width, 1)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _normalised_convolution(
    x: keras.KerasTensor, width: int, stride: int, size: int = 3
) -> keras.KerasTensor:
    x = layers.Conv2D(
        width, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
