"""The choice of the image and the label among a TFDS dataset's features."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpe.pipeline.sources.base import ReadOptions
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.extras import require


def choose_features(info: Any, options: ReadOptions, uri: str) -> tuple[str, str]:
    """The names of a TFDS dataset's image and label: those asked for, else the supervised pair, else the only ones.

    Args:
      info: TFDS's `DatasetInfo`.
      options: may ask for some.
      uri: names the dataset, for messages.

    Raises:
      DataError: it has no image, or no label, that can be read.
      UsageError: what is asked for is none, or there are several and none is asked for.
    """
    tfds = require("tensorflow_datasets", "tfds")
    features = dict(sorted(info.features.items()))  # their order in TFDS's files is by chance
    images = [
        name
        for name, feature in features.items()
        if feature.np_dtype == np.uint8 and len(feature.shape) == 3 and feature.shape[-1] in (1, 3)
    ]
    labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    if not images or not labels:
        held = ", ".join(f"{name} ({_describe(feature)})" for name, feature in features.items())
        raise DataError(f"{uri}: needs a uint8 image of 1 or 3 channels and a class label; it has {held}")
    image, label, *_ = info.supervised_keys or ("image", "label")
    return (
        _choose(images, options.image_key, (image, "image"), uri, "--image-key"),
        _choose(labels, options.label_key, (label, "label"), uri, "--label-key"),
    )


def _choose(candidates: list[str], asked: str | None, usual: tuple[Any, ...], uri: str, option: str) -> str:
    if asked is not None:
        if asked not in candidates:
            raise UsageError(f"{option} {asked}: {uri} has {', '.join(candidates)} to choose from")
        return asked
    for name in usual:
        if name in candidates:
            return str(name)
    if len(candidates) > 1:
        raise UsageError(f"{uri}: choose one of {', '.join(candidates)} with {option} NAME")
    return candidates[0]


def _describe(feature: Any) -> str:
    """The kind of a feature, and what tells an image that is read from another, e.g. `uint16 Image, 28x28x1`."""
    kind = type(feature).__name__
    if kind not in ("Image", "Tensor") or not feature.shape:
        return kind
    sizes = "x".join("?" if size is None else str(size) for size in feature.shape)
    return f"{np.dtype(feature.np_dtype).name} {kind}, {sizes}"
