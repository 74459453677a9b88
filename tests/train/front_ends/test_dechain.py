"""The inverse of the chain."""

import numpy as np
import pytest

from lpe.transforms import ciphers
from tests.train.front_ends.images import SHAPE, encrypted, output_of, photographs


@pytest.mark.parametrize("chain", ["raster", "row"])
def test_dechain_undoes_the_chain(chain):
    images = photographs(5, 0)
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=SHAPE, chain=chain)
    _, found = output_of("dechain", cipher.encrypt(images), {"cipher": "lpe-100", "params": {"chain": chain}})
    values = np.round((found + 1) * 127.5)
    # Half of the positions are not substituted, and all lowest bits are right (attacks.md, 4).
    assert ((values == images).mean(axis=(0, 3)) == 1).mean() > 0.35
    assert (values % 2 == images % 2).all()


def test_dechain_keeps_the_ciphertext_where_it_is_needed():
    cipher, encryption = encrypted("lpe-50", photographs(3, 0))
    _, found = output_of("dechain", cipher, encryption)
    assert found.shape == (3, 12, 12, 6)
    assert (np.round((found[..., :3] + 1) * 127.5) == cipher).all()
