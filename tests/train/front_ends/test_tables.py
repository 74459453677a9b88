"""Brightness from ciphertexts alone."""

import numpy as np

from lpe.train.front_ends.tables import brightness_tables
from tests.train.front_ends.images import encrypted, photographs


def test_two_keys_give_the_same_values():
    images = photographs(4000, 0)
    found = []
    for key in (1, 2):
        ciphertexts, _ = encrypted("cpbe-100", images, key)
        chosen, tables = brightness_tables(ciphertexts[..., None])
        assert (chosen == 0).all()
        places = np.arange(tables.shape[0])
        found.append(tables[places, ciphertexts.reshape(len(images), -1)])
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.9


def test_noise_is_left_alone_in_peace():
    noise = np.random.default_rng(0).integers(0, 256, (500, 6, 6, 1), np.uint8)
    _, tables = brightness_tables(noise[..., None])
    assert np.isfinite(tables).all()
