"""The bound for noise: above what is reached where the optimum is known, and near it."""

from __future__ import annotations

import numpy as np

from lpe.pipeline.audit.bound import bound
from lpe.transforms import reductions
from lpe.transforms.attacks.linear import fit
from tests.transforms.attacks.test_linear import independent, psnr


def test_on_gaussian_images_it_is_just_above_the_optimum():
    images = independent(400, 25, (16, 16, 1))
    reduction = reductions.parse("noise=25")
    limit = bound(reduction, images[:300])
    restore = fit(images[:300], reduction.apply(images[:300], bytes(32)))
    reached = psnr(restore(reduction.apply(images[300:], bytes([1]) * 32)), images[300:])
    optimum = 10 * np.log10(255**2 / (25**2 / 2))
    assert reached < limit.psnr_at_most
    assert optimum < limit.psnr_at_most < optimum + 1
    assert limit.psnr_at_most > 10 * np.log10(255**2 / 25**2) + 2  # what MSE >= σ² would say
    assert "24 classes" in limit.assumptions
    assert limit.to_json().keys() == {"psnr_at_most", "assumptions"}


def test_what_comes_after_noise_tells_no_more_and_before_it_is_another_matter():
    images = independent(100, 25, (16, 16, 1))

    def at_most(steps: str) -> float | None:
        limit = bound(reductions.parse(steps), images)
        return None if limit is None else limit.psnr_at_most

    assert at_most("noise=20,bits=2") == at_most("noise=20")
    assert at_most("noise=12,noise=16") == at_most("noise=20") < at_most("noise=10")
    assert at_most("thumbnail=8,noise=20") is None
    assert at_most("bits=2") is None
