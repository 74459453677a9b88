"""Recipes by name and their ranges."""

import pytest

from lpe.train.recipes import RECIPES, Recipe, recipe, recipe_for
from lpe.transforms.errors import UsageError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning rate"),
        ({"batch_size": 0}, "batch size"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; there is adamw, sgd"),
        ({"schedule": "linear"}, "unknown schedule 'linear'; there is cosine, one-cycle, step"),
        ({"warm_up": 1.0}, "warm-up"),
        ({"label_smoothing": -0.1}, "label smoothing"),
        ({"ema": 1.0}, "EMA"),
        ({"clip_norm": 0.0}, "clipped"),
    ],
)
def test_a_recipe_out_of_range_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**change)


def test_each_model_has_its_recipe():
    assert [recipe_for(name) for name in ("cnn", "vit", "convmixer", "resnet18", "pyramidnet-110-270")] == [
        "small",
        "small",
        "small",
        "fast",
        "madono",
    ]
    assert recipe("madono") == RECIPES["madono"]
    with pytest.raises(UsageError, match="unknown recipe 'best'; recipes are small, fast, madono"):
        recipe("best")
