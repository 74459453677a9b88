"""Networks by name: a trunk, one file each, between a front end and a classification layer.

Importing this module imports no Keras.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lpe.train import backend, front_ends
from lpe.train.models.enlarging import enlarge
from lpe.transforms.errors import UsageError, did_you_mean
from lpe.transforms.image_shape import ImageShape

if TYPE_CHECKING:
    import keras

_FILES = ("cnn", "vit", "convmixer", "resnet18")
_PATCHED = ("vit", "convmixer")
_PYRAMIDNET = re.compile(r"pyramidnet-(\d{1,4})-(\d{1,4})", re.ASCII)


def names() -> list[str]:
    """The names that `build` knows; of PyramidNets the one that Madono et al. used."""
    return [*_FILES, "pyramidnet-110-270"]


def check(name: str) -> None:
    """Raises UsageError unless `build` knows `name`, or it is `pyramidnet-DEPTH-ALPHA` for other sizes."""
    if name not in _FILES and not _PYRAMIDNET.fullmatch(name):
        raise UsageError(
            f"unknown model {name!r}; models are {', '.join(names())} (or any pyramidnet-DEPTH-ALPHA)"
            f"{did_you_mean(name, names())}"
        )


def build(
    name: str,
    image_shape: ImageShape,
    num_classes: int,
    front_end: str = front_ends.NONE,
    encryption: Mapping[str, Any] | None = None,
) -> keras.Model:
    """A fresh network from uint8 images [N, H, W, C] to class probabilities, float32 [N, num_classes].

    Weights are drawn from Keras's global seed (`keras.utils.set_random_seed`).

    Args:
      name: the trunk's, as `check` takes it.
      image_shape: (H, W, C) of the images.
      num_classes: how many probabilities it gives.
      front_end: see `lpe.train.front_ends`.
      encryption: the encryption.json of the dataset to be trained on, for the front end, the size of patches, and for
        images that were reduced from larger ones, which are enlarged again behind it; None for plain images.

    Raises:
      UsageError: unknown names, images that model or front end do not take, or no Keras.
    """
    check(name)
    front_ends.check(front_end)
    keras = backend.load()
    image = keras.Input(image_shape, dtype="uint8", name="image")
    features = enlarge(front_ends.apply(front_end, image, encryption), encryption)
    if match := _PYRAMIDNET.fullmatch(name):
        pyramidnet = importlib.import_module("lpe.train.models.pyramidnet")
        pooled = pyramidnet.trunk(features, int(match[1]), int(match[2]))
    elif name in _PATCHED:
        patches = importlib.import_module("lpe.train.models.patches")
        trunk = importlib.import_module(f"lpe.train.models.{name}").trunk
        pooled = trunk(features, patches.side(features.shape[1:], encryption))
    else:
        pooled = importlib.import_module(f"lpe.train.models.{name}").trunk(features)
    # Float32 whatever the mixed-precision policy: float16 rounds small probabilities to 0.
    classify = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")
    return keras.Model(image, classify(pooled), name=re.sub(r"\W", "_", name))
