"""The layout of key material, given per plane or per block, over an image's bytes.

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
    """The number of keystream values that an image takes: H·W, or C·H·W with independent channels."""
    height, width, channels = image_shape
    return height * width * (channels if params["channels"] == "independent" else 1)


def interleave(planes: np.ndarray, channels: int) -> np.ndarray:
    """Values given plane after plane, put pixel after pixel.

    Args:
      planes: [K, P, n], P = C or 1 (the same for all channels).
      channels: C.

    Returns:
      [K, n·C], of the same type.
    """
    all_planes = np.broadcast_to(planes, (len(planes), channels, planes.shape[-1]))
    return np.ascontiguousarray(all_planes.transpose(0, 2, 1)).reshape(len(planes), -1)


def check_blocks(name: str, image_shape: ImageShape, block: int = BLOCK) -> None:
    """Checks that height and width are multiples of the block size.

    Args:
      name: the scheme, for the error's text.
      image_shape: (H, W, C).
      block: the block size, in pixels.

    Raises:
      CipherError: one of them is not; the text says what size would do.
    """
    height, width, _ = image_shape
    if height % block or width % block:
        near = [f"{max(block, round(size / block) * block)}" for size in (height, width)]
        raise CipherError(
            f"{name} needs height and width that are multiples of {block}, not {height}x{width}; resize the images, "
            f"e.g. --image-size {'x'.join(near)}"
        )


def block_positions(image_shape: ImageShape, block: int = BLOCK) -> np.ndarray:
    """Where the bytes of each block of an image are.

    Args:
      image_shape: (H, W, C), H and W multiples of the block size b.
      block: b.

    Returns:
      int64 [B, b·b·C]: blocks in raster order, bytes by row, column, channel.
    """
    height, width, channels = image_shape
    positions = np.arange(height * width * channels)
    tiles = positions.reshape(height // block, block, width // block, block, channels).transpose(
        0, 2, 1, 3, 4
    )
    return tiles.reshape(-1, block * block * channels)


def take(source: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
    """Gathers out[m, i] = source[m, index[m or 0, i]].

    Args:
      source: [M, L].
      index: int64 [1, L] for all rows, or [M, L], one per row; within 0..L−1.
      out: [M, L], of the same type as `source`, and no part of it.
    """
    if len(index) == 1:
        np.take(source, index[0], axis=1, out=out, mode="clip")  # in range; `clip` skips a copy
    else:
        for row, own, target in zip(source, index, out, strict=True):
            np.take(row, own, out=target, mode="clip")


def inverse(index: np.ndarray) -> np.ndarray:
    """The inverse permutations of the rows of `index`, both int64 [K, L]."""
    out = np.empty_like(index)
    np.put_along_axis(out, index, np.arange(index.shape[1])[None], axis=1)
    return out
