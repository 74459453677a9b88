"""The proposed scheme, computed by hand from the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import ciphers
from lpe.transforms.ciphers import lpe
from lpe.transforms.errors import CipherError
from tests.transforms.ciphers import reference


def test_lpe_by_hand():
    # mu = 4, d0 = 0.3: d1 = 4·0.3·0.7 = 0.84, d2 = 0.5376, ...; s from equation 3.
    key = lpe.Key(4.0, 0.3, np.array([1, 0, 1, 1], np.uint8))
    s = reference.keystream(4.0, 0.3, 4)
    p = [10, 20, 30, 255]
    c0 = s[0] ^ ((10 + s[0]) % 256)
    c1 = 20 ^ c0
    c2 = s[2] ^ ((30 + s[2]) % 256) ^ c1
    c3 = s[3] ^ ((255 + s[3]) % 256) ^ c2
    cipher = ciphers.create("lpe-100", key=key, image_shape=(2, 2, 1))
    assert cipher.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, c1, c2, c3]
    half = ciphers.create("lpe-50", key=key, image_shape=(2, 2, 1))
    h2 = s[2] ^ ((30 + s[2]) % 256) ^ 20
    h3 = s[3] ^ ((255 + s[3]) % 256) ^ h2
    assert half.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, 20, h2, h3]
    rows = ciphers.create("lpe-100", key=key, image_shape=(2, 2, 1), chain="row")
    r2 = s[2] ^ ((30 + s[2]) % 256)
    r3 = s[3] ^ ((255 + s[3]) % 256) ^ r2
    assert rows.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, c1, r2, r3]


def test_a_keystream_in_a_period_three_window_is_refused():
    k = np.ones(1024, np.uint8)
    with pytest.raises(CipherError, match="cycle"):
        ciphers.create("lpe-100", key=lpe.Key(3.83, 0.4, k), image_shape=(32, 32, 1))
    # 0.5 goes to 1, then to 0 for ever.
    with pytest.raises(CipherError, match="cycle"):
        ciphers.create("lpe-100", key=lpe.Key(4.0, 0.5, k), image_shape=(32, 32, 1))
