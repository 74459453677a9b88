"""Fitting a learned reduction to small images of stripes, whose label is the direction and whose colour is private."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from lpe.train import backend
from lpe.train.reduction.examples import Examples
from lpe.train.reduction.fitting import Fitted, fit_encoder
from lpe.train.reduction.spec import FitSpec
from lpe.transforms.errors import DataError, UsageError

SPEC = FitSpec(channels=2, side=4, width=8, adversary=0.0, epochs=25)


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 [N, 16, 16, 1]: fine stripes across or down, on patches of grey that say nothing of the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    grey = random.uniform(40, 215, (count, 2, 2)).repeat(8, 1).repeat(8, 2)
    across = np.where(np.arange(16) % 2, 30, -30)
    pattern = np.where(labels[:, None, None] == 0, across[None, :, None], across[None, None, :])
    noise = random.normal(0, 5, grey.shape)
    return np.clip(grey + pattern + noise, 0, 255).astype(np.uint8)[..., None], labels


def fitted(spec: FitSpec) -> Fitted:
    return fit_encoder(*(Examples.read([stripes(n, seed)], spec) for n, seed in ((200, 1), (100, 2))), spec)


@pytest.fixture(scope="module")
def plain() -> Fitted:
    """Fitted for the label alone."""
    return fitted(SPEC)


def test_an_encoder_keeps_the_label(plain):
    assert plain.accuracy > 0.9
    assert plain.encoder.image_shape == (16, 16, 1)
    assert plain.encoder.released_shape == (4, 4, 2)
    assert plain.images == 200


def test_released_values_use_the_range(plain):
    released = plain.encoder.encode(stripes(100, 3)[0])
    assert 30 < released.std() < 100
    assert 60 < released.mean() < 200


def test_the_encoder_gains_by_the_decoders_error_up_to_that_of_the_mean_image():
    adversary = importlib.import_module("lpe.train.reduction.adversary")  # Keras
    images = np.full((2, 16, 16, 1), 255, np.uint8)
    images[1] = 51
    decoder = network_of_zeros()
    mean_image = np.full((16, 16, 1), 0.5, np.float32)
    layer = adversary.Hindrance(decoder, 3.0, mean_image, 0.25)
    layer(np.zeros((2, 4, 4, 2), np.float32), images)
    # It restores grey of 0.25: errors of 0.75² and 0.05², of which the first counts as the mean image's, 0.5².
    (loss,) = layer.losses
    assert float(loss) == pytest.approx(-3.0 * (0.5**2 + 0.05**2) / 2 / 0.25, rel=1e-4)


def network_of_zeros():
    """A decoder that restores the grey 0.25 from anything."""
    keras = backend.load()
    released = keras.Input((4, 4, 2))
    grey = keras.layers.Conv2D(
        1, 1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(0.25)
    )
    return keras.Model(released, keras.layers.UpSampling2D(4)(grey(released)))


def test_large_images_are_shrunk_as_they_are_read():
    spec = FitSpec(side=4)
    examples = Examples.read([(np.zeros((2, 50, 100, 3), np.uint8), np.array([0, 1]))] * 3, spec)
    assert (examples.image_shape, examples.images.shape) == ((50, 100, 3), (6, 16, 32, 3))
    assert spec.shrunk_side((32, 32, 3)) is None
    assert spec.shrunk_side((33, 33, 3)) == 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "--channels 0: give a number from 1 to 64"),
        ({"adversary": float("nan")}, "--adversary nan"),
        ({"noise": 256}, "--noise 256"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_numbers_out_of_bounds_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        FitSpec(**settings)


def test_images_that_cannot_be_fitted_to_are_refused():
    images, labels = stripes(8, 1)
    with pytest.raises(UsageError, match="--side 32: images of 16×16 are smaller; give at most 16"):
        Examples.read([(images, labels)], FitSpec(side=32))
    with pytest.raises(DataError, match="differ in shape"):
        Examples.read([(images, labels), (images[:, :8], labels)], SPEC)
    with pytest.raises(DataError, match="no images"):
        Examples.read([], SPEC)
    one = Examples.read([(images, labels * 0)], SPEC)
    with pytest.raises(DataError, match="two classes"):
        fit_encoder(one, one, SPEC)
