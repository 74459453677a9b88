"""A small ConvMixer (Trockman and Kolter 2022) whose patches are the cipher's blocks; 0.1 M parameters.

ReLU instead of GELU: it costs less, and is in every ONNX.
"""

from __future__ import annotations

import keras
from keras import layers

from lpe.train.models import patches

_WIDTH = 128
_DEPTH = 4
_KERNEL = 5


def trunk(features: keras.KerasTensor, patch: int) -> keras.KerasTensor:
    """Float [N, H, W, F], about -1..1 -> pooled features, float [N, 128].

    Args:
      features: the front end's output.
      patch: the side of a patch.

    Raises:
      UsageError: images that are not made of patches.
    """
    x = _normalised(patches.embed(features, patch, _WIDTH, "convmixer"))
    for _ in range(_DEPTH):
        y = _normalised(layers.DepthwiseConv2D(_KERNEL, padding="same", use_bias=False)(x))
        x = _normalised(layers.Conv2D(_WIDTH, 1, use_bias=False)(layers.Add()([x, y])))
    return layers.GlobalAveragePooling2D()(x)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    # Runs are a few hundred steps long: slower averages would lag behind the weights.
    return layers.BatchNormalization(momentum=0.9)(layers.ReLU()(x))
