"""Images as blocks, and the inverse of a scrambling that is written out here."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms.attacks import blocks

SHAPE = (8, 12, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)


def test_blocks_are_in_raster_order_and_their_bytes_too():
    split = blocks.split(IMAGES)
    assert split.shape == (5, 6, 48)
    for j in range(6):
        y, x = 4 * (j // 3), 4 * (j % 3)
        assert np.array_equal(split[:, j], IMAGES[:, y : y + 4, x : x + 4].reshape(5, 48))
    assert np.array_equal(blocks.join(split, SHAPE), IMAGES)


def test_low_nibbles_come_before_high_ones():
    nibbles = blocks.split_nibbles(IMAGES)
    assert np.array_equal(nibbles[..., :48] + 16 * nibbles[..., 48:], blocks.split(IMAGES))
    assert np.array_equal(blocks.join_nibbles(nibbles, SHAPE), IMAGES)


@pytest.mark.parametrize(
    ("split", "join", "unscramble", "inverted"),
    [
        (blocks.split, blocks.join, blocks.unscramble_bytes, 255),
        (blocks.split_nibbles, blocks.join_nibbles, blocks.unscramble_nibbles, 15),
    ],
)
def test_unscrambling_is_the_inverse_of_scrambling(split, join, unscramble, inverted):
    rng = np.random.default_rng(1)
    plain = split(IMAGES)
    count, size = plain.shape[1:]
    moved = rng.permutation(count)
    source = np.array([rng.permutation(size) for _ in range(count)])
    mask = (rng.integers(0, 2, (count, size)) * inverted).astype(np.uint8)
    scrambled = np.empty_like(plain)
    for j in range(count):
        scrambled[:, j] = plain[:, moved[j]][:, source[j]] ^ mask[j]
    assert np.array_equal(unscramble(join(scrambled, SHAPE), moved, source, mask), IMAGES)
