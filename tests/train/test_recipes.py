"""Recipes at work: learning rates, the loss, averaged weights, reduced precision."""

import dataclasses
import math

import numpy as np
import pytest

from lpe.train import backend
from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.recipes import RECIPES, Recipe, recipe, recipe_for
from lpe.train.runs import load_run
from lpe.transforms.errors import UsageError
from tests.train.datasets import toy_images, write_dataset

keras = backend.load()


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        ("cosine", 0.2, {0: 0, 10: 0.05, 20: 0.1, 60: 0.05, 100: 0}),
        ("one-cycle", 0.2, {0: 0, 10: 0.05, 20: 0.1, 60: 0.05, 80: 0.025, 100: 0}),
        ("step", 0.0, {0: 0.1, 49: 0.1, 50: 0.01, 74: 0.01, 75: 0.001, 99: 0.001}),
    ],
)
def test_the_learning_rate_over_the_steps(schedule, warm_up, expected):
    from lpe.train.optimizing import LearningRate  # noqa: PLC0415  (imports Keras)

    rate = LearningRate(Recipe(schedule=schedule, warm_up=warm_up, learning_rate=0.1), 100)
    assert {step: float(rate(step)) for step in expected} == pytest.approx(expected, abs=1e-6)


def test_label_smoothing_is_cross_entropy_with_spread_labels():
    from lpe.train.optimizing import CrossEntropy  # noqa: PLC0415

    labels = np.array([0, 2])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    spread = np.array([[0.9, 0, 0], [0, 0, 0.9]]) + 0.1 / 3
    expected = float(-(spread * np.log(probabilities)).sum(axis=1).mean())
    assert float(CrossEntropy(0.1)(labels, probabilities)) == pytest.approx(expected, abs=1e-5)
    plain = -(math.log(0.7) + math.log(0.6)) / 2
    assert float(CrossEntropy()(labels, probabilities)) == pytest.approx(plain, abs=1e-5)
    padded = CrossEntropy()(labels, probabilities, sample_weight=np.array([1.0, 0.0], np.float32))
    assert float(padded) == pytest.approx(-math.log(0.7), abs=1e-5)


def test_each_model_has_its_recipe():
    assert [recipe_for(name) for name in ("cnn", "resnet18", "pyramidnet-110-270")] == [
        "small",
        "fast",
        "madono",
    ]
    assert recipe("madono") == RECIPES["madono"]
    with pytest.raises(UsageError, match="unknown recipe 'best'; recipes are small, fast, madono"):
        recipe("best")


class KilledError(Exception):
    pass


def kill(*_):
    raise KilledError


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_what_was_validated_is_what_is_kept(tmp_path, precision):
    """With averaged weights, whatever the precision, and a kill: the model file has the best epoch's accuracy."""
    splits = {"train": toy_images(120, 0), "validation": toy_images(60, 1)}
    data = write_dataset(tmp_path / "toy", splits)
    averaged = dataclasses.replace(RECIPES["fast"], batch_size=16, learning_rate=0.02, ema=0.8)
    spec = TrainSpec(data=data, output=str(tmp_path / "run"), epochs=4, recipe=averaged, precision=precision)
    with pytest.raises(KilledError):
        fit(spec, progress=kill)
    result = fit(spec)
    found = evaluate(load_run(spec.output), data, "validation")
    assert found.accuracy == pytest.approx(result.accuracy["validation"], abs=1e-6)
    assert found.accuracy > 0.5


def test_an_unknown_precision_is_refused(tmp_path):
    data = write_dataset(tmp_path / "toy")
    with pytest.raises(UsageError, match="unknown precision 'half'; there is float32, mixed_bfloat16"):
        fit(TrainSpec(data=data, output=str(tmp_path / "run"), precision="half"))
