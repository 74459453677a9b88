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

_MOST_SAMPLES = 1 << 15


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
        count = nibbles.shape[1]
        few = nibbles[: max(1, _MOST_SAMPLES // count)]
        source, flip = read_nibbles(few.reshape(-1, few.shape[2]))
        content = place_nibbles(few, source, flip)
        way = min(arrangements()[:, 0], key=lambda way: _seams(blocks.join(content[:, :, way], shape)))
        upright = blocks.join(content[:, :, way], shape)
        views = [which for which in photographs.all_views(shape) if which[0] == 0]
        _, order, negative = photographs.likeliest(upright, views)
        # The whole view as a move of bytes, so that the key comes out in the cipher's own terms.
        way = way[arrangements()[0, order]]
        source = _bytes_to_nibbles(np.argsort(way))[source]
        flip = flip ^ np.uint8(negative)
        return Recovery(
            lambda ciphertexts: blocks.join(
                place_nibbles(blocks.split_nibbles(ciphertexts), source, flip), shape
            ),
            {"source": source, "flip": flip},
        )


def read_nibbles(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of a block's nibbles (int64 [96]) and which are inverted (uint8 [96]), up to a view of it.

    Args:
      samples: the block's nibbles in many images, or many such blocks, uint8 [L,96].
    """
    values = samples.astype(np.float32)
    values -= values.mean(axis=0)
    spread = np.sqrt((values**2).mean(axis=0))
    values /= np.where(spread > 0, spread, 1)
    correlations = values.T @ values / len(values)
    np.fill_diagonal(correlations, 0)
    related = np.sort(np.abs(correlations), axis=1)[:, -8:].mean(axis=1)
    high = np.argsort(-related)[: assignment.PLACES]
    low = np.setdiff1d(np.arange(len(related)), high)

    among = correlations[np.ix_(high, high)].astype(np.float64)
    np.fill_diagonal(among, 1)
    signs = np.where(np.linalg.eigh(among)[1][:, -1] < 0, -1, 1)
    places = assignment.places(among * signs[:, None] * signs)
    source = np.empty(len(related), np.int64)
    flip = np.zeros(len(related), np.uint8)
    source[high] = assignment.PLACES + places
    flip[high] = signs < 0

    above = np.empty((len(samples), assignment.PLACES), np.uint8)
    above[:, places] = samples[:, high] ^ (flip[high] * np.uint8(15))
    excess = _excess(above)
    excess -= excess.mean(axis=0)
    spread = np.sqrt((excess**2).mean(axis=0))
    agreement = values[:, low].T @ (excess / np.where(spread > 0, spread, 1)) / len(samples)
    for i, place in _pair_off(np.abs(agreement)):
        source[low[i]] = place
        flip[low[i]] = agreement[i, place] < 0
    return source, flip


def place_nibbles(nibbles: np.ndarray, source: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Nibbles of scrambled blocks (uint8 [N,B,96]) as the plain blocks' bytes (uint8 [N,B,48])."""
    plain = np.empty_like(nibbles)
    plain[:, :, source] = nibbles ^ (flip * np.uint8(15))
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


def _pair_off(scores: np.ndarray) -> list[tuple[int, int]]:
    """Rows and columns of a square matrix in pairs, the greatest score left first."""
    left = scores.copy()
    pairs = []
    for _ in range(len(left)):
        i, j = divmod(int(left.argmax()), left.shape[1])
        pairs.append((i, j))
        left[i], left[:, j] = -1, -1
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
