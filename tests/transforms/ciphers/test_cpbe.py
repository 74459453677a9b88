"""Chaotic pixel-based encryption, computed by hand."""

from __future__ import annotations

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers import cpbe
from tests.transforms.ciphers import reference


def test_cpbe_by_hand():
    s = reference.keystream(4.0, 0.3, 4)
    key = cpbe.Key(4.0, 0.3, np.array([2, 0, 3, 1]), np.array([1, 0, 0, 1], np.uint8))
    image = np.array([10, 20, 30, 255], np.uint8).reshape(1, 2, 2, 1)
    full = ciphers.create("cpbe-100", key=key, image_shape=(2, 2, 1)).encrypt(image).ravel().tolist()
    assert full == [10 ^ s[2], 20 ^ s[0], 30 ^ s[3], 255 ^ s[1]]
    half = ciphers.create("cpbe-50", key=key, image_shape=(2, 2, 1)).encrypt(image).ravel().tolist()
    assert half == [10 ^ s[2], 20, 30, 255 ^ s[1]]
