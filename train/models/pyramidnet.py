"""PyramidNet with ShakeDrop (Han et al. 2017, Yamada et al. 2018), as Madono et al. 2020 used it.

Basic blocks, width 16 growing by `alpha` over all of them; depth 110 and alpha 270 have 28.5 M parameters.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops

from lpe.train.keras_types import Layer, Tensor
from lpe.transforms.errors import UsageError

SMALLEST_SIDE = 4
_FIRST_WIDTH = 16
_GROUPS = 3  # of blocks at one resolution
_MOST_WEIGHTS = 1 << 29  # twenty times those of 110 and 270
_LAST_DROP = 0.5  # the probability grows linearly up to this, in the last block


def trunk(features: keras.KerasTensor, depth: int, alpha: int) -> keras.KerasTensor:
    """Float [N, H, W, F], about -1..1 -> pooled features, float [N, 16 + alpha].

    Args:
      features: the front end's output.
      depth: layers with weights, 6 n + 2 for n blocks in each of the three groups.
      alpha: how much wider the last block is than the first layer.

    Raises:
      UsageError: images smaller than 4×4, there is no such depth, or the network has more than half a billion weights.
    """
    if min(features.shape[1:3]) < SMALLEST_SIDE:
        raise UsageError(f"model pyramidnet needs images of at least 4×4, not {features.shape[1:]}")
    if depth < 8 or (depth - 2) % (2 * _GROUPS):
        raise UsageError(f"pyramidnet's depth must be 6 n + 2 (8, 14, …, 110), not {depth}")
    in_group = (depth - 2) // (2 * _GROUPS)
    blocks = _GROUPS * in_group
    # Each block has two convolutions of 3×3; the mean square of a width that grows from 0 is a third of the last one's.
    if blocks * 2 * 9 * (_FIRST_WIDTH + alpha) ** 2 // 3 > _MOST_WEIGHTS:
        raise UsageError(
            f"pyramidnet-{depth}-{alpha} has more than {_MOST_WEIGHTS} weights; choose a smaller one"
        )
    x = _convolution(features, _FIRST_WIDTH, 1)
    x = _normalise(x)
    for i in range(blocks):
        width = _FIRST_WIDTH + math.ceil(alpha * (i + 1) / blocks)
        stride = 2 if i > 0 and i % in_group == 0 else 1
        x = _block(x, width, stride, _LAST_DROP * (i + 1) / blocks)
    return layers.GlobalAveragePooling2D()(layers.ReLU()(_normalise(x)))


def _block(x: keras.KerasTensor, width: int, stride: int, drop: float) -> keras.KerasTensor:
    y = _convolution(_normalise(x), width, stride)
    y = layers.ReLU()(_normalise(y))
    y = _normalise(_convolution(y, width, 1))
    shortcut = layers.AveragePooling2D(2, padding="same")(x) if stride == 2 else x
    shortcut = WidenChannels(width)(shortcut)
    return layers.Add()([ShakeDrop(drop)(y), shortcut])


def _convolution(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    return layers.Conv2D(
        width, 3, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)


def _normalise(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


@keras.saving.register_keras_serializable("lpe.train")
class WidenChannels(Layer):
    """Adds channels of zeros: [N, H, W, F] -> [N, H, W, width].

    Args:
      width: channels of the output, at least F.
      kwargs: as for `keras.layers.Layer`.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def call(self, x: Tensor) -> Tensor:
        """The input with zeros after its channels."""
        return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.width - x.shape[-1])))

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable("lpe.train")
class ShakeDrop(Layer):
    """Disturbs a residual branch [N, H, W, C] in training: Yamada et al. 2018, eq. 6.

    With probability `drop` the whole batch's branch is multiplied by a random number in -1..1 for each image, and its
    gradient by another in 0..1. In use it is multiplied by 1 - drop, as in the published code.

    Args:
      drop: the probability, 0..1.
      kwargs: as for `keras.layers.Layer`.
    """

    def __init__(self, drop: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop = drop
        self._seeds = keras.random.SeedGenerator()

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """The branch, disturbed in training and scaled otherwise."""
        if not training:
            return x * (1 - self.drop)
        per_image = (ops.shape(x)[0], 1, 1, 1)
        dropped = keras.random.uniform((), seed=self._seeds) < self.drop
        forward = ops.where(dropped, keras.random.uniform(per_image, -1, 1, seed=self._seeds), 1.0)
        backward = ops.where(dropped, keras.random.uniform(per_image, 0, 1, seed=self._seeds), 1.0)
        forward, backward = ops.cast(forward, x.dtype), ops.cast(backward, x.dtype)
        return x * backward + ops.stop_gradient(x * (forward - backward))

    def compute_output_spec(self, x: Tensor, training: bool = False) -> Tensor:
        """The output's shape and dtype."""
        return keras.KerasTensor(x.shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {**super().get_config(), "drop": self.drop}
