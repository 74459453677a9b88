"""Learnable encryption, computed by hand."""

from __future__ import annotations

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers import le


def test_le_by_hand():
    """One grey block. Nibble 0 (low of byte 0) goes to place 16 (high of byte 0), and back, reversed once."""
    order = np.arange(32)
    order[[0, 16]] = [16, 0]
    reverse = np.zeros(32, bool)
    reverse[0] = True
    image = np.zeros((1, 4, 4, 1), np.uint8)
    image[0, 0, 0, 0] = 0x3A
    image[0, 3, 3, 0] = 0x51
    out = ciphers.create("le", key=le.Key(order, reverse), image_shape=(4, 4, 1)).encrypt(image)
    # v[0] = 15 − 10 = 5 moves to the high nibble; v[16] = 3 moves to place 0 and becomes 15 − 3 = 12.
    assert out[0, 0, 0, 0] == 0x5C
    assert out[0, 3, 3, 0] == 0x51
