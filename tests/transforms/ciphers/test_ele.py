"""Extended learnable encryption, computed by hand."""

from __future__ import annotations

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers import ele


def test_ele_by_hand():
    """Two blocks under the identity, swapped."""
    key = ele.Key(np.tile(np.arange(32), (2, 1)), np.zeros((2, 32), bool), np.array([1, 0]))
    image = np.arange(32, dtype=np.uint8).reshape(1, 4, 8, 1)
    out = ciphers.create("ele", key=key, image_shape=(4, 8, 1)).encrypt(image)
    assert np.array_equal(out[:, :, :4], image[:, :, 4:])
    assert np.array_equal(out[:, :, 4:], image[:, :, :4])
