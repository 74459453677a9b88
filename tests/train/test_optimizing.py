"""Optimiser, schedule and loss of a recipe."""

import math

import numpy as np
import pytest

from lpe.train.optimizing import CrossEntropy, LearningRate
from lpe.train.recipes import Recipe


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        ("cosine", 0.2, {0: 0, 10: 0.05, 20: 0.1, 60: 0.05, 100: 0}),
        ("one-cycle", 0.2, {0: 0, 10: 0.05, 20: 0.1, 60: 0.05, 80: 0.025, 100: 0}),
        ("step", 0.0, {0: 0.1, 49: 0.1, 50: 0.01, 74: 0.01, 75: 0.001, 99: 0.001}),
    ],
)
def test_the_learning_rate_over_the_steps(schedule, warm_up, expected):
    rate = LearningRate(Recipe(schedule=schedule, warm_up=warm_up, learning_rate=0.1), 100)
    assert {step: float(rate(step)) for step in expected} == pytest.approx(expected, abs=1e-6)


def test_label_smoothing_is_cross_entropy_with_spread_labels():
    labels = np.array([0, 2])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    spread = np.array([[0.9, 0, 0], [0, 0, 0.9]]) + 0.1 / 3
    expected = float(-(spread * np.log(probabilities)).sum(axis=1).mean())
    assert float(CrossEntropy(0.1)(labels, probabilities)) == pytest.approx(expected, abs=1e-5)
    plain = -(math.log(0.7) + math.log(0.6)) / 2
    assert float(CrossEntropy()(labels, probabilities)) == pytest.approx(plain, abs=1e-5)
    padded = CrossEntropy()(labels, probabilities, sample_weight=np.array([1.0, 0.0], np.float32))
    assert float(padded) == pytest.approx(-math.log(0.7), abs=1e-5)
