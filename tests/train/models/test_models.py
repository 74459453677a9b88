"""Networks by name: sizes as published, and images that they refuse."""

import numpy as np
import pytest

from lpe.train import models
from lpe.transforms.errors import UsageError


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("cnn", 0.145),
        ("vit", 0.142),
        ("convmixer", 0.0888),
        ("resnet18", 11.17),  # He et al., CIFAR form
        pytest.param("pyramidnet-110-270", 28.5, marks=pytest.mark.slow),  # Madono et al.
    ],
)
def test_a_network_has_its_published_size(name, millions):
    model = models.build(name, (32, 32, 3), 10)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_too_small_images_are_refused(name):
    with pytest.raises(UsageError, match="at least 8×8"):
        models.build(name, (7, 8, 3), 4)
