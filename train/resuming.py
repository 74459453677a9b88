"""The command line that finishes an unfinished run, from what the run recorded at its start."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset.cached import CACHE_BYTES
from lpe.pipeline.storage.documents import Fields
from lpe.train import recipes
from lpe.train.loop import TrainSpec
from lpe.train.recipes import Recipe

_ALWAYS = ("data", "output", "model", "front_end", "epochs")
_OTHERS = (
    "images",
    "precision",
    "seed",
    "validation_fraction",
    "init_from",
    "data_key",
    "on_bad_shard",
    "cache",
    "cache_bytes",
)
_OPTIONS = {"images": "train-images"}
"""Options whose names are not their fields'."""


def resuming_command(directory: str, record: Fields) -> str:
    """`lpe train …`, with the options that differ from their defaults.

    Args:
      directory: the run's.
      record: the content of its spec.json.

    Raises:
      DataError: the record is damaged.
      UsageError: a value in it is out of its range.
    """
    spec = _spec(directory, record)
    defaults = {field.name: field.default for field in dataclasses.fields(spec)}
    values = {name: getattr(spec, name) for name in (*_ALWAYS, *_OTHERS)}
    options = {name: value for name, value in values.items() if name in _ALWAYS or value != defaults[name]}
    words = ["lpe", "train"]
    for name, value in (options | _recipe_options(spec)).items():
        words += [f"--{_OPTIONS.get(name, name).replace('_', '-')}", str(value)]
    return shlex.join(words)


def _spec(directory: str, record: Fields) -> TrainSpec:
    recipe, origin = record.object("recipe"), record.optional_object("init_from")
    return TrainSpec(
        data=record.text("data"),
        output=directory,
        model=record.text("model"),
        front_end=record.text("front_end"),
        epochs=record.integer("epochs"),
        recipe=_recipe(recipe),
        precision=record.text("precision"),  # type: ignore[arg-type]
        seed=record.integer("seed"),
        validation_fraction=record.number("validation_fraction"),
        images=None if record.is_null("images") else record.integer("images"),
        init_from=None if origin is None else origin.text("run"),
        data_key=record.optional_text("data_key") if record.has("data_key") else None,
        on_bad_shard=record.text("on_bad_shard") if record.has("on_bad_shard") else "fail",  # type: ignore[arg-type]
        cache=record.optional_text("cache") if record.has("cache") else None,
        cache_bytes=record.integer("cache_bytes", 1) if record.has("cache_bytes") else CACHE_BYTES,
    )


def _recipe(record: Fields) -> Recipe:
    return Recipe(
        optimizer=record.text("optimizer"),  # type: ignore[arg-type]
        learning_rate=record.number("learning_rate"),
        schedule=record.text("schedule"),  # type: ignore[arg-type]
        warm_up=record.number("warm_up"),
        weight_decay=record.number("weight_decay"),
        batch_size=record.integer("batch_size"),
        label_smoothing=record.number("label_smoothing"),
        clip_norm=None if record.is_null("clip_norm") else record.number("clip_norm"),
        ema=None if record.is_null("ema") else record.number("ema"),
    )


def _recipe_options(spec: TrainSpec) -> dict[str, Any]:
    """The options that make the recipe: the named one that it differs least from, and the differences."""
    own = recipes.recipe_for(spec.model)
    wanted = dataclasses.asdict(spec.recipe)
    choices = []
    for name, recipe in recipes.RECIPES.items():
        changes = _changes(dataclasses.asdict(recipe), wanted)
        if (
            None not in changes.values()
        ):  # no option takes away a recipe's clipping or averaging; `small` has neither
            choices.append(changes if name == own else {"recipe": name, **changes})
    return min(choices, key=len)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value != before[name]}
