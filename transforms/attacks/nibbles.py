"""Ciphertext-only attack on le: what is the same in all blocks of all images shows in their statistics.

All blocks of a dataset share one key, so n images of 64 blocks are 64·n samples of the same 96 nibbles, in an
unknown order, some inverted. Some ten ciphertexts are enough. Step by step:

1. High nibbles of a block are strongly correlated, low ones hardly: the 48 with the larger correlations are
   the high ones. An inverted nibble is correlated negatively: the leading eigenvector's signs undo that.
2. Where each high nibble is in the block follows from the correlations (`assignment`).
3. A low nibble is the rest that its high nibble leaves: in a smooth place a byte is about the mean of its
   neighbours, so the low nibble is large where the neighbours' high nibbles exceed its own. This excess is
   correlated with the right low nibble, and its sign shows inversion.
4. That leaves one view of all blocks (`photographs`). How blocks continue each other tells how they are turned
   and mirrored; exchanged channels and a negative show in what is usual.

All nibbles are then right, not only the high ones, and images are restored exactly.
"""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import assignment, blocks, photographs
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.symmetries import arrangements
from lpe.transforms.ciphers import layout
from lpe.transforms.image_shape import ImageShape

MOST_SAMPLES = 1 << 15
"""More say no more."""
_FEWEST_SAMPLES = 16
"""With fewer samples correlations are chance, and to search long is in vain."""
_SQUARINGS = 8
_THOROUGH = 128
"""Blocks that are read with all effort; with more, each gets its share of it."""
_BLOCKS = 256
"""Blocks that are read at once, which bounds the memory."""


class NibbleStatistics(Attack):
    """Ten ciphertexts and more, of 3 channels.

    The recovered key: nibble i of a block is plain nibble `source[i]` (int64 [96]), inverted where
    `flip[i]` is 1 (uint8 [96]).
    """

    name = "nibble-statistics"
    adversary = "ciphertext-only"
    source = "ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is le with one key for the dataset, and images of 3 channels."""
        return target.cipher == "le" and target.scope == "dataset" and target.image_shape[2] == 3

    def learn(self, evidence: Evidence) -> Recovery:
        """Reads the nibbles of a block from all blocks, and then chooses a view."""
        shape = evidence.target.image_shape
        nibbles = blocks.split_nibbles(evidence.ciphertexts)
        few = nibbles[: max(1, MOST_SAMPLES // nibbles.shape[1])]
        (source,), (flip,) = read_nibbles(few.reshape(1, -1, few.shape[2]))
        source, flip = upright(few, source, flip, shape)
        return Recovery(
            lambda ciphertexts: blocks.join(
                place_nibbles(blocks.split_nibbles(ciphertexts), source, flip), shape
            ),
            {"source": source, "flip": flip},
        )


def upright(
    nibbles: np.ndarray, source: np.ndarray, flip: np.ndarray, shape: ImageShape
) -> tuple[np.ndarray, np.ndarray]:
    """What `read_nibbles` read of a key for all blocks, in the view that makes photographs of its images.

    Args:
      nibbles: of images under the key, uint8 [N,B,96].
      source: int64 [96].
      flip: uint8 [96].
      shape: (H, W, 3).

    Returns:
      source and flip in the cipher's own terms.
    """
    content = place_nibbles(nibbles, source, flip)
    way = min(arrangements()[:, 0], key=lambda way: _seams(blocks.join(content[:, :, way], shape)))
    views = [which for which in photographs.all_views(shape) if which[0] == 0]
    _, order, negative = photographs.likeliest(blocks.join(content[:, :, way], shape), views)
    way = way[arrangements()[0, order]]  # the whole view as a move of bytes
    return _bytes_to_nibbles(np.argsort(way))[source], flip ^ np.uint8(negative)


def read_nibbles(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of blocks' nibbles (int64 [G,96]) and which are inverted (uint8 [G,96]), up to a view of each block.

    Args:
      samples: the nibbles of G blocks in many images, or of many blocks with one key, uint8 [G,L,96].
    """
    effort = min(1.0, _THOROUGH / len(samples)) if samples.shape[1] >= _FEWEST_SAMPLES else 0.0
    parts = [_read(samples[at : at + _BLOCKS], effort) for at in range(0, len(samples), _BLOCKS)]
    return np.concatenate([source for source, _ in parts]), np.concatenate([flip for _, flip in parts])


def _read(samples: np.ndarray, effort: float) -> tuple[np.ndarray, np.ndarray]:
    number, length, count = samples.shape
    row = np.arange(number)[:, None]
    values = _standardized(samples.astype(np.float32))
    correlations = values.transpose(0, 2, 1) @ values / length
    correlations[:, np.arange(count), np.arange(count)] = 0
    related = np.partition(np.abs(correlations), -8, axis=2)[:, :, -8:].mean(axis=2)
    ranked = np.argsort(-related, axis=1)
    high, low = ranked[:, : assignment.PLACES], np.sort(ranked[:, assignment.PLACES :], axis=1)

    among = correlations[row[..., None], high[:, :, None], high[:, None, :]].astype(np.float64)
    among[:, np.arange(assignment.PLACES), np.arange(assignment.PLACES)] = 1
    signs = np.where(_leading(among) < 0, -1, 1)
    places = assignment.places(among * signs[:, :, None] * signs[:, None, :], effort)
    source = np.empty((number, count), np.int64)
    flip = np.zeros((number, count), np.uint8)
    source[row, high] = assignment.PLACES + places
    flip[row, high] = signs < 0

    above = np.empty((number, length, assignment.PLACES), np.uint8)
    seen = np.take_along_axis(samples, high[:, None], axis=2) ^ (flip[row, high] * np.uint8(15))[:, None]
    np.put_along_axis(above, np.broadcast_to(places[:, None], above.shape), seen, axis=2)
    excess = _standardized(_excess(above.reshape(-1, assignment.PLACES)).reshape(above.shape))
    agreement = np.take_along_axis(values, low[:, None], axis=2).transpose(0, 2, 1) @ excess / length
    paired = _pair_off(np.abs(agreement))
    source[row, low] = paired
    flip[row, low] = np.take_along_axis(agreement, paired[..., None], axis=2)[..., 0] < 0
    return source, flip


def _leading(matrices: np.ndarray) -> np.ndarray:
    """The leading eigenvector of each of float64 [G,n,n], positive semidefinite; [G,n], of any length and sign."""
    power = matrices
    for _ in range(_SQUARINGS):
        power = power @ power
        power /= np.trace(power, axis1=1, axis2=2)[:, None, None]
    # Each column is the eigenvector, multiplied by one of its own elements.
    column = power.diagonal(axis1=1, axis2=2).argmax(axis=1)
    return np.take_along_axis(power, column[:, None, None], axis=2)[:, :, 0]


def _standardized(values: np.ndarray) -> np.ndarray:
    """Values of float32 [G,L,n], each of the n with mean 0 and mean square 1 over the L, or all 0."""
    values -= values.mean(axis=1, keepdims=True)
    spread = np.sqrt((values**2).mean(axis=1, keepdims=True))
    values /= np.where(spread > 0, spread, 1)
    return values


def place_nibbles(nibbles: np.ndarray, source: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Nibbles of scrambled blocks (uint8 [N,B,96]) as the plain blocks' bytes (uint8 [N,B,48]).

    Args:
      nibbles: of N images of B blocks.
      source: int64 [96], or [B,96] where each block has a key.
      flip: uint8 of the same shape.
    """
    plain = np.empty_like(nibbles)
    plain[:, np.arange(nibbles.shape[1])[:, None], source] = nibbles ^ (flip * np.uint8(15))
    return np.asarray(plain[:, :, : assignment.PLACES] | plain[:, :, assignment.PLACES :] << 4)


def _excess(high: np.ndarray) -> np.ndarray:
    """By how much the mean of a high nibble's neighbours exceeds it, 0 where by more than 1; [L,48]."""
    grid = high.reshape(-1, layout.BLOCK, layout.BLOCK, 3).astype(np.float32)
    total, count = np.zeros_like(grid), np.zeros(grid.shape[1:], np.float32)
    for axis in (1, 2):
        ahead = (slice(None),) * axis + (slice(1, None),)
        behind = (slice(None),) * axis + (slice(None, -1),)
        total[ahead] += grid[behind]
        total[behind] += grid[ahead]
        count[ahead[1:]] += 1
        count[behind[1:]] += 1
    excess = total / count - grid
    return np.asarray(np.where(np.abs(excess) <= 1, excess, 0).reshape(len(high), -1))


def _pair_off(scores: np.ndarray) -> np.ndarray:
    """The column of each row of G square matrices, the greatest score left taken first: int64 [G,n] of [G,n,n]."""
    left = scores.copy()
    count, size = left.shape[:2]
    row, pairs = np.arange(count), np.empty((count, size), np.int64)
    for _ in range(size):
        i, j = np.divmod(left.reshape(count, -1).argmax(axis=1), size)
        pairs[row, i] = j
        left[row, i] = left[row, :, j] = -1
    return pairs


def _seams(images: np.ndarray) -> float:
    """The sum of differences across the borders of blocks."""
    values = images.astype(np.int16)
    b = layout.BLOCK
    across = np.abs(values[:, b::b] - values[:, b - 1 : -1 : b]).sum()
    return float(across + np.abs(values[:, :, b::b] - values[:, :, b - 1 : -1 : b]).sum())


def _bytes_to_nibbles(order: np.ndarray) -> np.ndarray:
    """A permutation of bytes (int64 [d]) as one of low and high nibbles (int64 [2d])."""
    return np.concatenate([order, order + len(order)])
