"""Adaptation networks."""

import keras
import numpy as np
import pytest

from lpe.train import front_ends, models
from lpe.transforms.errors import UsageError
from tests.train.front_ends.images import SHAPE, photographs


def test_the_adaptation_network_is_as_published():
    images = photographs(8, 0)
    image = keras.Input(SHAPE, dtype="uint8")
    features = front_ends.apply("adaptation", image, None)
    assert features.shape == (None, 12, 12, 16)
    model = keras.Model(image, features)
    layer = model.layers[-1]
    for _ in range(60):
        model(images, training=True)
    # Spectral normalisation, after enough steps of its power iteration.
    kernels = keras.ops.convert_to_numpy(layer._normalised(False))
    largest = [np.linalg.svd(kernel, compute_uv=False)[0] for kernel in kernels]
    assert largest == pytest.approx([1] * 9, abs=0.05)
    # The regulariser is 0 for permutations alone; at the start the permutation is one.
    assert float(layer._permutation_loss()) == pytest.approx(0, abs=1e-6)
    layer.permutation.assign(np.full((9, 9), 1 / 9))
    assert float(layer._permutation_loss()) > 1e-5
    assert len(layer.losses) > 0


def test_adaptation_needs_whole_blocks():
    with pytest.raises(UsageError, match="multiples of 4, not 9×12"):
        models.build("cnn", (9, 12, 3), 3, "adaptation")
