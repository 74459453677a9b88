"""The linear estimate of reduced images: as good as Wiener's filter where that is known, and real on photographs."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms import attacks, reductions
from lpe.transforms.attacks import Evidence, Target
from lpe.transforms.attacks.enlarged import enlarged
from lpe.transforms.attacks.linear import Linear, fit
from tests.transforms.attacks.pictures import REAL, photographs, psnr


def restored(steps: str, public: np.ndarray, unseen: np.ndarray, cipher: str = "plain") -> np.ndarray:
    """What the attack restores of unseen images from reduced ones."""
    chain = reductions.parse(steps)
    shape = public.shape[1:]
    target = Target(cipher, {}, "dataset", chain.reduced_shape(shape), chain, shape)
    recovery = Linear().learn(Evidence(target, np.zeros((0, *target.image_shape), np.uint8), public=public))
    return recovery.restore(chain.apply(unseen, bytes([7]) * 32))


def independent(count: int, sd: float, shape: tuple[int, ...]) -> np.ndarray:
    """Images of independent Gaussian pixels, which nothing near them tells of."""
    drawn = np.random.default_rng(3).normal(128, sd, (count, *shape))
    return np.clip(drawn.round(), 0, 255).astype(np.uint8)


def test_on_independent_pixels_under_noise_it_is_wiener():
    images = independent(400, 25, (16, 16, 1))
    estimate = restored("noise=25", images[:300], images[300:])
    # Signal and noise of one variance: half of it is left.
    wiener = 10 * np.log10(255**2 / (25**2 / 2))
    assert wiener - 0.25 < psnr(estimate, images[300:]) < wiener + 0.1


def test_boxes_of_smooth_images_are_filled_in():
    rows, columns = np.mgrid[:16, :16]
    slopes = np.random.default_rng(0).uniform(-3, 3, (200, 2, 1, 1))
    smooth = np.rint(128 + slopes[:, 0] * rows + slopes[:, 1] * columns).astype(np.uint8)[..., None]
    chain = reductions.parse("thumbnail=4")
    assert psnr(restored("thumbnail=4", smooth[:150], smooth[150:]), smooth[150:]) > 45
    assert psnr(enlarged(chain.apply(smooth[150:]), (16, 16, 1)), smooth[150:]) < 40


@pytest.mark.parametrize(
    "shape", [(15, 11, 3), (16, 16, 3), (9, 20, 1)], ids=lambda shape: "x".join(map(str, shape))
)
@pytest.mark.parametrize("steps", ["thumbnail=8", "thumbnail=5", "bits=6", "noise=1", "blur=0.3"])
def test_images_of_any_shape(steps, shape):
    images = photographs(60)[:, : shape[0], : shape[1], : shape[2]]
    estimate = restored(steps, images[:50], images[50:])
    assert estimate.shape == images[50:].shape
    assert estimate.dtype == np.uint8
    released = reductions.parse(steps).apply(images[50:], bytes(32))
    assert psnr(estimate, images[50:]) > min(psnr(enlarged(released, shape), images[50:]) - 1, 35)


def test_colours_from_grey_and_more_channels_than_images_have():
    images = photographs(300)
    grey = restored("grey", images[:250], images[250:])
    chain = reductions.parse("grey")
    assert psnr(grey, images[250:]) > psnr(enlarged(chain.apply(images[250:]), (32, 32, 3)), images[250:])
    # An encoder's values, which are no image: here the sums of cells, and nonsense.
    cells = images.reshape(300, 8, 4, 8, 4, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    nonsense = np.random.default_rng(0).integers(256, size=(300, 8, 8, 2), dtype=np.uint8)
    encoded = np.concatenate([nonsense, 255 - cells], axis=3)
    restore = fit(images[:250], encoded[:250])
    assert psnr(restore(encoded[250:]), images[250:]) > psnr(enlarged(cells[250:], (32, 32, 3)), images[250:])
    assert restore(encoded[:0]).shape == (0, 32, 32, 3)


@pytest.mark.skipif(not REAL.is_file(), reason="needs the shared images")
@pytest.mark.parametrize(("steps", "least"), [("thumbnail=8", 20.3), ("noise=64", 21.6)])
def test_photographs(steps, least):
    images = photographs(700)
    assert psnr(restored(steps, images[:600], images[600:]), images[600:]) > least


def test_it_is_meant_for_reductions_without_a_key():
    chain = reductions.parse("thumbnail=8")
    reduced = Target("plain", {}, "dataset", (8, 8, 3), chain, (32, 32, 3))
    assert [attack.name for attack in attacks.against(reduced)] == ["linear"]
    assert not attacks.against(Target("plain", {}, "dataset", (8, 8, 3)))
    assert not Linear().applies_to(Target("pbe", {}, "dataset", (8, 8, 3), chain, (32, 32, 3)))
    with pytest.raises(ValueError, match="public images"):
        Linear().learn(Evidence(reduced, np.zeros((1, 8, 8, 3), np.uint8)))


def test_enlarging():
    small = np.arange(2 * 2 * 2, dtype=np.uint8).reshape(1, 2, 2, 2)
    large = enlarged(small, (4, 2, 3))
    assert large[0, :, 0, 0].tolist() == [0, 0, 4, 4]
    assert large[0, 0, 1].tolist() == [2, 3, 3]
    assert enlarged(small, (2, 2, 1)).tolist() == small[..., :1].tolist()
    assert enlarged(small, (2, 2, 2)) is small
