"""How key material given per plane or per block lies over an image's bytes.

Kernels see an image as H·W·C bytes in row-major order: pixel after pixel, channels interleaved.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lpe.transforms.errors import CipherError
from lpe.transforms.image_shape import ImageShape

CHANNELS = {"channels": ("shared", "independent")}
"""The public parameter of schemes with a keystream per plane."""

BLOCK = 4
"""The block size of LE, ELE and EtC, in pixels."""


def values(image_shape: ImageShape, params: Mapping[str, str]) -> int:
    """How many keystream values an image takes: H·W, or C·H·W with independent channels."""
    height, width, channels = image_shape
    return height * width * (channels if params["channels"] == "independent" else 1)


def interleave(planes: np.ndarray, channels: int) -> np.ndarray:
    """[K, P, n] plane after plane, P = C or 1 (the same for all channels), as [K, n·C] pixel after pixel."""
    every = np.broadcast_to(planes, (len(planes), channels, planes.shape[-1]))
    return np.ascontiguousarray(every.transpose(0, 2, 1)).reshape(len(planes), -1)


def check_blocks(name: str, image_shape: ImageShape) -> None:
    """Raises CipherError unless height and width are multiples of the block size."""
    height, width, _ = image_shape
    if height % BLOCK or width % BLOCK:
        near = [f"{max(BLOCK, round(size / BLOCK) * BLOCK)}" for size in (height, width)]
        raise CipherError(
            f"{name} needs height and width that are multiples of {BLOCK}, not {height}x{width}; resize the images, "
            f"e.g. --image-size {'x'.join(near)}"
        )


def block_positions(image_shape: ImageShape) -> np.ndarray:
    """int64 [B, b·b·C]: where the bytes of each block are; blocks in raster order, bytes by row, column, channel."""
    height, width, channels = image_shape
    at = np.arange(height * width * channels)
    tiles = at.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(-1, BLOCK * BLOCK * channels)


def take(source: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """out[m, i] = source[m, index[m or 0, i]]: one index (int64 [1, L]) for all rows, or one per row."""
    if len(index) == 1:
        np.take(source, index[0], axis=1, out=out, mode="clip")  # in range; `clip` skips a copy
    else:
        out[...] = np.take_along_axis(source, index, axis=1)


def inverse(index: np.ndarray) -> np.ndarray:
    """The inverse permutations of the rows of `index` (int64 [K, L])."""
    out = np.empty_like(index)
    np.put_along_axis(out, index, np.arange(index.shape[1])[None], axis=1)
    return out
