"""The statistics against their definitions, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lpe.transforms import metrics

RANDOM = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
FLAT = np.full((2, 8, 8, 3), 77, np.uint8)


def test_entropy():
    image = np.array([0, 0, 1, 2], np.uint8).reshape(1, 2, 2, 1)
    assert metrics.entropy(image) == pytest.approx(1.5)
    assert metrics.entropy(FLAT) == 0
    assert 7.92 < metrics.entropy(RANDOM) < 7.96


def test_chi_square():
    image = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    assert metrics.chi_square(image) == 0
    assert metrics.chi_square(FLAT) == pytest.approx((192 - 0.75) ** 2 / 0.75 + 255 * 0.75)
    # The mean of 50 values of mean 255 and variance 510.
    assert abs(metrics.chi_square(RANDOM) - 255) < 4 * math.sqrt(510 / 50)


def test_correlation_is_pearsons():
    image = RANDOM[:1]
    for direction, here, there in (
        ("horizontal", image[:, :, :-1], image[:, :, 1:]),
        ("vertical", image[:, :-1], image[:, 1:]),
        ("diagonal", image[:, :-1, :-1], image[:, 1:, 1:]),
    ):
        expected = np.corrcoef(here.ravel().astype(float), there.ravel().astype(float))[0, 1]
        assert metrics.correlation(image, direction) == pytest.approx(expected)
    ramp = np.broadcast_to(np.arange(0, 80, 10, dtype=np.uint8)[None, None, :, None], (1, 8, 8, 1))
    assert metrics.correlation(ramp, "horizontal") == pytest.approx(1)
    assert metrics.correlation(FLAT, "vertical") == 1
    assert math.isnan(metrics.correlation(RANDOM[:, :, :1], "horizontal"))


def test_npcr_and_uaci():
    one = np.array([0, 10, 20, 30], np.uint8).reshape(1, 2, 2, 1)
    two = np.array([0, 10, 25, 20], np.uint8).reshape(1, 2, 2, 1)
    assert metrics.npcr(one, two) == 50
    assert metrics.uaci(one, two) == pytest.approx(15 / 4 / 255 * 100)
    assert metrics.npcr(RANDOM[:25], RANDOM[25:]) == pytest.approx(99.61, abs=0.1)
    assert metrics.uaci(RANDOM[:25], RANDOM[25:]) == pytest.approx(33.46, abs=0.3)
