"""The affine map of bits."""

import keras
import numpy as np
import pytest

from lpe.train import front_ends
from tests.train.front_ends.images import SHAPE, photographs


def test_affine_can_undo_any_xor():
    images = photographs(4, 0)
    key = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)
    image = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(image, front_ends.apply("affine", image, None))
    signs = 1.0 - 2 * ((key[..., None] >> np.arange(8)) & 1)
    model.layers[-1].signs.assign(signs * 2.0 ** np.arange(8) / 255)
    assert model.predict(images ^ key, verbose=0) == pytest.approx(images / 127.5 - 1, abs=1e-5)
