"""Pixel-based encryption, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import ciphers
from lpe.transforms.ciphers import pbe
from lpe.transforms.errors import CipherError


def test_pbe_by_hand():
    mask = np.array([[[1, 0, 0], [0, 1, 1]]])
    image = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)
    plain_order = ciphers.create("pbe", key=pbe.Key(mask), image_shape=(1, 2, 3))
    assert plain_order.encrypt(image).tolist() == [[[[254, 2, 3], [4, 250, 249]]]]
    # Entry 3 is (1, 2, 0), entry 5 is (2, 1, 0); applied after the mask.
    key = pbe.Key(mask, np.array([[3, 5]]))
    shuffled = ciphers.create("pbe", key=key, image_shape=(1, 2, 3), colour=True)
    assert shuffled.encrypt(image).tolist() == [[[[2, 3, 254], [249, 250, 4]]]]


def test_a_pool_of_keys_needs_to_know_whose_image_is_whose():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    for one_key in ({"secret": bytes(32)}, {"key": pbe.Key(np.zeros((4, 4, 3)))}):
        with pytest.raises(CipherError, match=r"among 8 keys by their ids.*give secrets, one for each image"):
            ciphers.create("pbe", pool="8", image_shape=(4, 4, 3), **one_key)
    each = [bytes([i]) * 32 for i in (0, 1, 0)]
    made = ciphers.create("pbe", pool="8", image_shape=(4, 4, 3), secrets=each).encrypt(images)
    assert np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
