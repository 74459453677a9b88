"""Nibble scrambling of more than one tile, of more images than lie side by side, under one key and several."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import ciphers
from tests.transforms.ciphers import reference

SHAPE = (28, 64, 3)  # seven rows of blocks; five are a tile
IMAGES = np.random.default_rng(5).integers(0, 256, (33, *SHAPE), np.uint8)


@pytest.fixture(scope="module", params=["le", "ele"])
def known(request):
    """(name, key, its cipher, ciphertexts of `IMAGES`)."""
    name = request.param
    (key,) = ciphers.scheme(name).derive_keys([bytes(range(32))], SHAPE, {})
    cipher = ciphers.create(name, key=key, image_shape=SHAPE)
    return name, key, cipher, cipher.encrypt(IMAGES)


def test_every_tile_and_lane_is_scrambled(known):
    name, key, cipher, encrypted = known
    for i in (0, 32):
        assert np.array_equal(encrypted[i], reference.SCHEMES[name](name, key, IMAGES[i], {}))
    for i in range(1, 32):
        assert np.array_equal(encrypted[i], cipher.encrypt(IMAGES[i : i + 1])[0])
    assert np.array_equal(cipher.decrypt(encrypted), IMAGES)


def test_images_within_records_of_any_length_are_read_where_they_are(known):
    """As a file has them: not aligned to words, and bytes of something else between them."""
    *_, cipher, encrypted = known
    size = IMAGES[0].size
    records = np.zeros((3, size + 13), np.uint8)
    records[:, 7 : 7 + size] = IMAGES[:3].reshape(3, size)
    within = records[:, 7 : 7 + size].reshape(3, *SHAPE)
    assert np.shares_memory(within, records)
    assert np.array_equal(cipher.encrypt(within), encrypted[:3])


def test_each_image_has_its_own_key(known):
    name = known[0]
    secrets = [bytes([i]) * 32 for i in range(3)]
    each = ciphers.create(name, secrets=secrets, image_shape=SHAPE)
    encrypted = each.encrypt(IMAGES[:3])
    for secret, image, expected in zip(secrets, IMAGES[:3], encrypted, strict=True):
        alone = ciphers.create(name, secret=secret, image_shape=SHAPE)
        assert np.array_equal(alone.encrypt(image[None])[0], expected)
    assert np.array_equal(each.decrypt(encrypted), IMAGES[:3])
