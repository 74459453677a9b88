"""Front ends: key-free layers between encrypted images and a network, by name, joined by `+`.

`dechain+embedding`, for one, undoes the chain over the pixels, then gives every position its own table of values.
None of them is given a key or a plain image; what they learn, the ciphertexts give away. Importing this module imports
no Keras.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lpe.train import backend
from lpe.transforms.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import keras

NONE = "none"
"""No front end: bytes scaled to -1..1."""
AUTO = "auto"
"""The front end that is meant for the scheme."""


@runtime_checkable
class AdaptiveLayer(Protocol):
    """A layer that takes from ciphertexts, before training, what their statistics give away."""

    def adapt_to(self, images: np.ndarray) -> None:
        """Sets the layer's weights from its input, uint8 [N, H, W, F], which stays as it is."""


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part of a front end: its module and layer, and whether it takes and gives bytes (uint8 [N, H, W, C]).

    `memory` is how many bytes it takes for each value of an image, at least.
    """

    module: str
    layer: str
    takes: tuple[str, ...]
    gives: str
    memory: int = 0


_BYTES, _VALUES = "bytes", "values"
_MOST_BYTES = 2 << 30  # of memory for a part
_PARTS = {
    "dechain": _Part("dechain", "Dechain", (_BYTES,), _BYTES),
    "bit-planes": _Part("bit_planes", "BitPlanes", (_BYTES,), _VALUES),
    "embedding": _Part("embedding", "PositionEmbedding", (_BYTES,), _VALUES, memory=1024),
    "affine": _Part("affine", "PositionAffine", (_BYTES,), _VALUES, memory=36),
    "adaptation": _Part("adaptation", "Adaptation", (_BYTES, _VALUES), _VALUES, memory=1024),
    "adaptation-shared": _Part("adaptation", "SharedAdaptation", (_BYTES, _VALUES), _VALUES),
}
# As far as tried: 16,000 CIFAR-10 images, the small network, 4 epochs. With `etc` nothing helped.
_BEST = {
    "le": "embedding+adaptation-shared",
    "ele": "embedding",
    "pbe": "embedding",
    "cpbe-50": "embedding",
    "cpbe-100": "embedding",
    "lpe-50": "dechain+embedding",
    "lpe-100": "dechain+embedding",
}


def names() -> list[str]:
    """`none` and the parts that front ends are made of."""
    return [NONE, *_PARTS]


def best_for(cipher: str) -> str:
    """The front end that is meant for a scheme's ciphertexts; `none` for plain images."""
    return _BEST.get(cipher, NONE)


def resolve(name: str, encryption: Mapping[str, Any] | None) -> str:
    """The front end that a name stands for: itself, but for `auto`.

    Args:
      name: as `check` takes it.
      encryption: the encryption.json of the images; None for plain ones.
    """
    if name != AUTO:
        return name
    # What is learned of places holds for one key, and a pool has several.
    if encryption is None or "pool" in encryption.get("params", {}):
        return NONE
    return best_for(encryption["cipher"])


def check(name: str) -> None:
    """Raises UsageError unless `name` is `auto`, `none`, or parts that go together."""
    if name != AUTO:
        _parts(name)


def _parts(name: str) -> list[_Part]:
    if name == NONE:
        return []
    parts = []
    kind = _BYTES
    for part_name in name.split("+"):
        if part_name not in _PARTS:
            raise UsageError(
                f"unknown front end {part_name!r}; there is {', '.join(names())}, joined by + where several are wanted"
                f"{did_you_mean(part_name, [AUTO, *names()])}"
            )
        part = _PARTS[part_name]
        if kind not in part.takes:
            raise UsageError(
                f"front end {name}: {part_name} takes bytes, so it cannot follow what makes values of them"
            )
        parts.append(part)
        kind = part.gives
    return parts


def apply(name: str, image: keras.KerasTensor, encryption: Mapping[str, Any] | None) -> keras.KerasTensor:
    """The front end's output for an input of uint8 [N, H, W, C]: float [N, H, W, F], about -1..1 at the start.

    Args:
      name: the front end, `auto` resolved.
      image: the network's input.
      encryption: the dataset's encryption.json; its public parameters say how pixels are chained. None: plain images.

    Raises:
      UsageError: an unknown name, or images that a part does not take.
    """
    keras = backend.load()
    parts = _parts(name)
    x = image
    for part in parts:
        layer = getattr(_module(part), part.layer)
        readings = x.shape[-1] // image.shape[-1]
        if math.prod(x.shape[1:]) * part.memory > _MOST_BYTES:
            raise UsageError(
                f"front end {name}: images of shape {image.shape[1:]} take it more than "
                f"{_MOST_BYTES >> 30} GB of memory; ingest them with a smaller --image-size"
            )
        x = layer(**layer.settings(encryption, readings))(x)
    if not parts or parts[-1].gives == _BYTES:
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    return x


def adapt(model: keras.Model, images: np.ndarray) -> None:
    """Has a network's front end take from ciphertexts, before training, what their statistics give away.

    Args:
      model: the network; weights of its front end change.
      images: uint8 [N, H, W, C], some thousand of the training images; no labels are used.
    """
    keras = backend.load()
    for i, layer in enumerate(model.layers):
        if isinstance(layer, AdaptiveLayer):
            before = keras.Model(model.inputs, model.layers[i - 1].output)
            layer.adapt_to(np.asarray(before.predict(images, batch_size=512, verbose=0)).astype(np.uint8))


def _module(part: _Part) -> ModuleType:
    return importlib.import_module(f"lpe.train.front_ends.{part.module}")
