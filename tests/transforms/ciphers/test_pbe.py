"""Pixel-based encryption, computed by hand."""

from __future__ import annotations

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers import pbe


def test_pbe_by_hand():
    mask = np.array([[[1, 0, 0], [0, 1, 1]]])
    image = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)
    plain_order = ciphers.create("pbe", key=pbe.Key(mask), image_shape=(1, 2, 3))
    assert plain_order.encrypt(image).tolist() == [[[[254, 2, 3], [4, 250, 249]]]]
    # Entry 3 is (1, 2, 0), entry 5 is (2, 1, 0); applied after the mask.
    key = pbe.Key(mask, np.array([[3, 5]]))
    shuffled = ciphers.create("pbe", key=key, image_shape=(1, 2, 3), colour=True)
    assert shuffled.encrypt(image).tolist() == [[[[2, 3, 254], [249, 250, 4]]]]
