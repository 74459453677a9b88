"""Images that were reduced from larger ones: the network enlarges them itself."""

import numpy as np
import pytest

from lpe.train import models
from lpe.train.models.enlarging import enlarged_size
from lpe.transforms.errors import DataError


def reduced_from(*image_shape):
    return {"cipher": "plain", "params": {}, "reduction": {"image_shape": list(image_shape)}}


@pytest.mark.parametrize(
    ("reduced", "before", "size"),
    [
        ((4, 4), (32, 32, 3), (32, 32)),
        ((24, 24), (224, 224, 3), (32, 32)),  # no larger than the trunk needs
        ((8, 4), (64, 32, 3), (32, 16)),
        ((2, 8), (9, 31, 3), (9, 31)),  # nor than the images were
        ((48, 48), (224, 224, 3), (48, 48)),
        ((28, 28), (28, 28, 3), (28, 28)),  # blurred, say, and not made smaller
    ],
)
def test_small_images_are_given_the_size_that_they_had_up_to_32(reduced, before, size):
    assert enlarged_size(*reduced, reduced_from(*before)) == size
    assert enlarged_size(*reduced, {"cipher": "plain", "params": {}}) == reduced
    assert enlarged_size(*reduced, None) == reduced
    assert enlarged_size(*reduced, {"cipher": "plain", "reduction": {"image_shape": None}}) == reduced


@pytest.mark.parametrize("shape", [(4, 4, 3), (8, 8, 5), (16, 16, 1)])
def test_the_cnn_takes_thumbnails_of_any_number_of_channels(shape):
    model = models.build("cnn", shape, 4, encryption=reduced_from(32, 32, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert model(images).shape == (2, 4)
    # The convolutions see 32×32: nothing else about the network changes.
    assert next(layer for layer in model.layers if layer.name.startswith("conv")).output.shape[1:3] == (
        32,
        32,
    )


@pytest.mark.parametrize("shape", ["32×32", [], [32, 32], [32, 0, 3]])
def test_a_damaged_record_of_the_reduction_is_refused(shape):
    with pytest.raises(DataError, match=r"encryption\.json: reduction: damaged .*image_shape"):
        enlarged_size(8, 8, {"cipher": "plain", "reduction": {"image_shape": shape}})
