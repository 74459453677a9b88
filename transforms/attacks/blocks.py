"""Images as blocks of bytes or nibbles, in the ciphers' order, and the inverse of scrambling them.

B = (H/b)·(W/b) blocks in raster order, d = b·b·C bytes by (row, column, channel); a block's 2d nibbles
are all low ones, then all high ones.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.ciphers import layout
from lpe.transforms.image_shape import ImageShape, image_shape_of


def split(images: np.ndarray, side: int = layout.BLOCK) -> np.ndarray:
    """The bytes of blocks of side×side pixels, uint8 [N,B,d], of uint8 [N,H,W,C]."""
    place = layout.block_positions(image_shape_of(images), side)
    return images.reshape(len(images), -1)[:, place]


def join(blocks: np.ndarray, image_shape: ImageShape, side: int = layout.BLOCK) -> np.ndarray:
    """The inverse of `split`: uint8 [N,H,W,C] of uint8 [N,B,d]."""
    out = np.empty((len(blocks), *image_shape), np.uint8)
    out.reshape(len(blocks), -1)[:, layout.block_positions(image_shape, side)] = blocks
    return out


def split_nibbles(images: np.ndarray) -> np.ndarray:
    """The nibbles of blocks, uint8 [N,B,2d] of 0..15, of uint8 [N,H,W,C]."""
    values = split(images)
    return np.concatenate([values & 15, values >> 4], axis=2)


def join_nibbles(nibbles: np.ndarray, image_shape: ImageShape) -> np.ndarray:
    """The inverse of `split_nibbles`: uint8 [N,H,W,C] of uint8 [N,B,2d]."""
    low, high = np.split(nibbles, 2, axis=2)
    return join(low | (high << 4), image_shape)


def unscramble_bytes(
    images: np.ndarray,
    moved: np.ndarray,
    source: np.ndarray,
    mask: np.ndarray,
    side: int = layout.BLOCK,
) -> np.ndarray:
    """The plaintext of uint8 [N,H,W,C] whose blocks' bytes were scrambled; arguments as in `unscramble`."""
    return join(unscramble(split(images, side), moved, source, mask), image_shape_of(images), side)


def unscramble_nibbles(
    images: np.ndarray, moved: np.ndarray, source: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """The plaintext of uint8 [N,H,W,C] whose blocks' nibbles were scrambled; arguments as in `unscramble`."""
    return join_nibbles(unscramble(split_nibbles(images), moved, source, mask), image_shape_of(images))


def unscramble(values: np.ndarray, moved: np.ndarray, source: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Undoes out[j, i] = in[moved[j], source[j, i]] ⊕ mask[j, i].

    Args:
      values: the `out` of N images, uint8 [N,B,L], bytes or nibbles.
      moved: int [B], a permutation of the blocks.
      source: int [B,L], a permutation of each block's values.
      mask: uint8 [B,L].

    Returns:
      `in`, uint8 [N,B,L].
    """
    out = np.empty_like(values)
    out[:, moved[:, None], source] = values ^ mask
    return out
