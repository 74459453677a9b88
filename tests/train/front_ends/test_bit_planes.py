"""Bit planes."""

import numpy as np

from tests.train.front_ends.images import output_of


def test_bit_planes_are_the_bits():
    images = np.array([0, 1, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    _, found = output_of("bit-planes", images)
    assert found.reshape(4, 8)[1].tolist() == [1] + [-1] * 7
    assert found.reshape(4, 8)[2].tolist() == [-1] * 7 + [1]
    assert found.reshape(4, 8)[[0, 3]].tolist() == [[-1] * 8, [1] * 8]
