"""The small network."""

import numpy as np
import pytest

from lpe.train import models
from lpe.transforms.errors import UsageError


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 31, 3)])
def test_the_cnn_takes_any_shape_from_8_up(shape):
    model = models.build("cnn", shape, 4)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert model(images).shape == (2, 4)


def test_the_cnn_refuses_smaller_images():
    with pytest.raises(UsageError, match="at least 8×8"):
        models.build("cnn", (7, 8, 3), 4)
