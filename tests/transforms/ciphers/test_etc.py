"""Block scrambling, computed by hand."""

from __future__ import annotations

import numpy as np

from lpe.transforms import ciphers
from lpe.transforms.ciphers import etc


def test_etc_by_hand():
    """One block: a quarter turn counter-clockwise, mirrored left-right, inverted, channels 2, 0, 1."""
    one = np.array
    key = etc.Key(one([0]), one([1]), one([2]), one([1]), one([4]))
    image = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    out = ciphers.create("etc", key=key, image_shape=(4, 4, 3)).encrypt(image)[0]
    # Turned, the first row is the last column from top to bottom; mirrored, from bottom to top.
    expected = [(255 - image[0, 3 - x, 3])[[2, 0, 1]].tolist() for x in range(4)]
    assert out[0].tolist() == expected
