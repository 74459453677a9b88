"""Measures of image similarity, against values by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.audit.quality import MAX_PSNR, measure


def test_measures_by_hand():
    plain = np.zeros((2, 8, 8, 3), np.uint8)
    same = measure(plain, plain)
    assert (same.mae, same.psnr, same.ssim, same.exact) == (0.0, MAX_PSNR, 1.0, 1.0)
    other = plain.copy()
    other[0] = 10
    quality = measure(other, plain)
    assert (quality.mae, quality.exact) == (5.0, 0.5)
    assert quality.psnr == pytest.approx(10 * np.log10(255**2 / 50))


def test_images_too_small_for_a_window_count_equal_bytes():
    plain = np.zeros((1, 2, 2, 3), np.uint8)
    other = plain.copy()
    other[0, 0] = 1
    assert measure(other, plain).ssim == 0.5


def test_only_what_was_measured_is_written():
    plain = np.zeros((2, 8, 8, 3), np.uint8)
    assert measure(plain, plain).to_json().keys() == {"mae", "psnr", "ssim", "exact"}
    assert measure(plain, plain, 0.5).to_json()["agreement"] == 0.5
