"""Fitting a learned reduction to small images of stripes, whose label is the direction and whose colour is private."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.slow
def test_an_adversary_raises_the_decoders_error(plain):
    against = fitted(FitSpec(**{**vars(SPEC), "adversary": 4.0}))
    assert against.accuracy > 0.9
    assert against.psnr < plain.psnr - 1
    assert against.psnr > against.mean_psnr - 1


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
