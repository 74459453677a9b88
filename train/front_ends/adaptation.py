"""Adaptation networks for block-wise encryption: a small network for all blocks (for LE), or one for each (for ELE).

As in Madono et al. 2020 (arXiv 2001.07761) and their published code: 64 sub-networks, spectral normalisation, a learned
permutation of the blocks with two regularisers. Blocks have 4×4 pixels.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from lpe.train.front_ends.layer import FrontEndLayer
from lpe.train.keras_types import Tensor
from lpe.transforms.errors import UsageError

_BLOCK = 4
_FEATURES = 256
_DEPTH = _FEATURES // (_BLOCK * _BLOCK)
_PERMUTATION_LOSS, _VARIATION_LOSS, _VARIATION_CHANNELS = 1e-3, 0.1, 3


class _Blockwise(FrontEndLayer):
    """Images [N, H, W, F] as blocks, and features of blocks as images."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Sets the sizes for inputs of shape (None, H, W, F). Raises UsageError where H or W has no whole blocks."""
        height, width, features = shape[1:]
        if height % _BLOCK or width % _BLOCK:
            raise UsageError(
                f"front end adaptation needs images whose sides are multiples of {_BLOCK}, not {height}×{width}"
            )
        self.rows, self.columns = height // _BLOCK, width // _BLOCK
        self.size = _BLOCK * _BLOCK * features
        self.normalise = layers.BatchNormalization(epsilon=1e-5, dtype=self.dtype_policy)

    def compute_output_spec(self, image: Tensor, training: bool = False) -> Tensor:
        """The output's shape and dtype."""
        return keras.KerasTensor((*image.shape[:3], _DEPTH), self.compute_dtype)

    def _blocks(self, image: Tensor) -> Tensor:
        """[N, H, W, F] -> [N, blocks, 16 F]."""
        x = ops.cast(image, self.compute_dtype)
        if keras.backend.standardize_dtype(image.dtype) in ("uint8", "int32"):
            x = x / 127.5 - 1
        features = image.shape[-1]
        x = ops.reshape(x, (-1, self.rows, _BLOCK, self.columns, _BLOCK, features))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, self.rows * self.columns, self.size))

    def _image(self, blocks: Tensor) -> Tensor:
        """[N, blocks, 256] -> [N, H, W, 16]."""
        x = ops.reshape(blocks, (-1, self.rows, self.columns, _BLOCK, _BLOCK, _DEPTH))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, self.rows * _BLOCK, self.columns * _BLOCK, _DEPTH))


@keras.saving.register_keras_serializable("lpe.train")
class SharedAdaptation(_Blockwise):
    """[N, H, W, F] -> float [N, H, W, 16]: one dense layer for all blocks, as suits LE."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Makes the weights for inputs of shape (None, H, W, F)."""
        super().build(shape)
        self.kernel = self.add_weight(shape=(self.size, _FEATURES), initializer="he_normal", name="kernel")
        self.normalise.build((None, None, _FEATURES))

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        """The features of each block, as pixels of 16 channels."""
        x = self.normalise(ops.matmul(self._blocks(image), self.kernel), training=training)
        return self._image(ops.leaky_relu(x, 0.1))


@keras.saving.register_keras_serializable("lpe.train")
class Adaptation(_Blockwise):
    """[N, H, W, F] -> float [N, H, W, 16]: a dense layer for each block, then a learned permutation of the blocks."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Makes the weights for inputs of shape (None, H, W, F)."""
        super().build(shape)
        blocks = self.rows * self.columns
        self.kernels = self.add_weight(
            shape=(blocks, self.size, _FEATURES), initializer=_he_normal(self.size), name="kernels"
        )
        # The left singular vectors, as far as the power iteration has come.
        self.vectors = self.add_weight(
            shape=(blocks, _FEATURES), initializer="random_normal", trainable=False, name="vectors"
        )
        self.permutation = self.add_weight(
            shape=(blocks, blocks), initializer=lambda *_, **__: ops.eye(blocks), name="permutation"
        )
        self.normalise.build((None, blocks * _FEATURES))

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        """The features of each block, as pixels of 16 channels; in training it adds the regularisers' losses."""
        blocks = self.rows * self.columns
        x = ops.einsum("nbi,bif->nbf", self._blocks(image), self._normalised(training))
        x = self.normalise(ops.reshape(x, (-1, blocks * _FEATURES)), training=training)
        x = ops.reshape(ops.leaky_relu(x, 0.2), (-1, blocks, _FEATURES))
        out = self._image(ops.einsum("ab,nbf->naf", ops.cast(self.permutation, x.dtype), x))
        if training:
            self.add_loss(self._permutation_loss() + _variation(out))
        return out

    def _normalised(self, training: bool) -> Tensor:
        """The kernels, each divided by its largest singular value, which one step of power iteration estimates."""
        kernels = ops.cast(self.kernels, "float32")
        right = _unit(ops.einsum("bif,bf->bi", kernels, ops.cast(self.vectors, "float32")))
        left = _unit(ops.einsum("bif,bi->bf", kernels, right))
        right, left = ops.stop_gradient(right), ops.stop_gradient(left)
        if training:
            self.vectors.assign(left)
        largest = ops.einsum("bf,bif,bi->b", left, kernels, right)
        return ops.cast(kernels / largest[:, None, None], self.compute_dtype)

    def _permutation_loss(self) -> Tensor:
        """0 for a permutation: L1 less L2 norm of all rows and columns."""
        u = ops.cast(self.permutation, "float32")
        total = 0.0
        for axis in (0, 1):
            total += ops.sum(ops.sum(ops.abs(u), axis=axis) - ops.sqrt(ops.sum(u * u, axis=axis) + 1e-12))
        return _PERMUTATION_LOSS / (u.shape[0] * u.shape[1]) * total


def _variation(image: Tensor) -> Tensor:
    """Total variation of the first channels; natural images have little."""
    x = ops.cast(image[..., :_VARIATION_CHANNELS], "float32")
    height, width = x.shape[1:3]
    down = ops.mean(ops.sum(ops.square(x[:, 1:] - x[:, :-1]), axis=(1, 2, 3)))
    across = ops.mean(ops.sum(ops.square(x[:, :, 1:] - x[:, :, :-1]), axis=(1, 2, 3)))
    return _VARIATION_LOSS * (down / ((height - 1) * width) + across / (height * (width - 1))) / _DEPTH


def _unit(vectors: Tensor) -> Tensor:
    """Vectors [..., K], each divided by its length."""
    return vectors / ops.sqrt(ops.sum(vectors * vectors, axis=-1, keepdims=True) + 1e-12)


def _he_normal(inputs: int) -> keras.initializers.Initializer:
    """He et al. 2015, for kernels whose shape does not show the number of inputs."""
    return keras.initializers.RandomNormal(stddev=float(np.sqrt(2 / inputs)))
