"""Convolutions in whole numbers."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.errors import DataError
from lpe.transforms.not_picklable import NotPicklable

MOST_CHANNELS = 256
_KERNELS = (1, 3)
_STRIDES = (1, 2)
_MOST_SHIFT = 48
_MOST_BIAS = 1 << 48


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Convolution(NotPicklable):
    """A convolution with zeros around the image, as many as keep its size at stride 1.

    Attributes:
      weights: int16 [kernel, kernel, channels before, channels after].
      bias: int64 [channels after], added to the sums.
      stride: pixels from one output to the next.
      shift: the sums are divided by 2^shift, rounded half up.

    Raises:
      DataError: they are not so, or too large.
    """

    weights: np.ndarray
    bias: np.ndarray
    stride: int
    shift: int

    def __post_init__(self) -> None:
        kernel, across, before, after = self.weights.shape
        sound = (
            (self.weights.dtype, self.bias.dtype) == (np.dtype(np.int16), np.dtype(np.int64))
            and kernel == across
            and kernel in _KERNELS
            and self.stride in _STRIDES
            and 1 <= before <= MOST_CHANNELS
            and 1 <= after <= MOST_CHANNELS
            and self.bias.shape == (after,)
            and 0 <= self.shift <= _MOST_SHIFT
            and self.bias.min() >= -_MOST_BIAS
            and self.bias.max() <= _MOST_BIAS
        )
        if not sound:
            raise DataError("an encoder has no such convolution")

    def apply(self, values: np.ndarray, most: int) -> np.ndarray:
        """Convolves.

        Args:
          values: whole numbers as float64 [N, H, W, channels before], 0 to 65,535.
          most: what the results are cut to; its least is 0.

        Returns:
          Likewise, [N, ceil(H / stride), ceil(W / stride), channels after].
        """
        kernel, _, before, after = self.weights.shape
        count, rows, columns = len(values), *self.after(values.shape[1], values.shape[2])
        padding = [self._padding(side) for side in values.shape[1:3]]
        values = np.pad(values, [(0, 0), *padding, (0, 0)])
        patches = np.empty((count, rows, columns, kernel * kernel, before))
        for at in range(kernel * kernel):
            down, right = divmod(at, kernel)
            patches[..., at, :] = values[
                :,
                down : down + (rows - 1) * self.stride + 1 : self.stride,
                right : right + (columns - 1) * self.stride + 1 : self.stride,
            ]
        sums = patches.reshape(-1, kernel * kernel * before) @ self.weights.reshape(-1, after).astype(
            np.float64
        )
        sums += self.bias + 2.0 ** (self.shift - 1)
        sums *= 2.0**-self.shift
        return np.clip(np.floor(sums), 0, most).reshape(count, rows, columns, after)

    def after(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what it makes of images of this size."""
        return -(-height // self.stride), -(-width // self.stride)

    def _padding(self, side: int) -> tuple[int, int]:
        """Zeros before and after an axis; of an odd number the one more is after it, as in TensorFlow's `same`."""
        kernel = self.weights.shape[0]
        total = max(0, (-(-side // self.stride) - 1) * self.stride + kernel - side)
        return total // 2, total - total // 2
