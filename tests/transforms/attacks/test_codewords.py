"""Code words tell nibbles apart, and whether they were inverted, with as few of them as can be."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms.attacks import codewords


@pytest.mark.parametrize(("count", "length"), [(1, 1), (8, 1), (9, 2), (128, 2), (129, 3)])
def test_the_length_is_as_small_as_can_be(count, length):
    assert codewords.length_for(count) == length


def test_words_are_read_whether_inverted_or_not():
    numbers = np.arange(128).reshape(4, 32)
    words = codewords.write(numbers, 2)
    assert (words.shape, words.dtype, words.max()) == ((2, 4, 32), np.uint8, 15)
    flips = np.random.default_rng(0).integers(0, 2, numbers.shape).astype(bool)
    read, flipped = codewords.read(np.where(flips, 15 - words, words))
    assert np.array_equal(read, numbers)
    assert np.array_equal(flipped, flips)


def test_permutations_hold_each_number_once():
    assert codewords.is_permutation(np.array([[2, 0, 1], [0, 1, 2]]))
    assert not codewords.is_permutation(np.array([[2, 0, 1], [0, 1, 1]]))
