"""What stands between encrypted images and a network, by name: key-free steps, joined by `+`.

`dechain+embedding`, for one, undoes the chain over the pixels, then lets every position have its own table of values.
None of them is given a key or a plain image; what they find out, the ciphertexts give away.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lpe.transforms.errors import UsageError

if TYPE_CHECKING:
    import keras
    import numpy as np

NONE = "none"
AUTO = "auto"
"""The one that is meant for the scheme."""


@dataclasses.dataclass(frozen=True)
class _Step:
    """A step: its file and layer, and whether it takes and gives bytes (uint8 [N, H, W, C])."""

    module: str
    layer: str
    takes: tuple[str, ...]
    gives: str


_BYTES, _VALUES = "bytes", "values"
_STEPS = {
    "dechain": _Step("dechain", "Dechain", (_BYTES,), _BYTES),
    "bit-planes": _Step("bit_planes", "BitPlanes", (_BYTES,), _VALUES),
    "embedding": _Step("embedding", "PositionEmbedding", (_BYTES,), _VALUES),
    "affine": _Step("affine", "PositionAffine", (_BYTES,), _VALUES),
    "adaptation": _Step("adaptation", "Adaptation", (_BYTES, _VALUES), _VALUES),
    "adaptation-shared": _Step("adaptation", "SharedAdaptation", (_BYTES, _VALUES), _VALUES),
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
    """`none` and the steps. Does not import Keras."""
    return [NONE, *_STEPS]


def best_for(cipher: str) -> str:
    """The front end that is meant for a scheme's ciphertexts; `none` for plain images."""
    return _BEST.get(cipher, NONE)


def resolve(name: str, encryption: Mapping[str, Any] | None) -> str:
    """`name`, or what `auto` stands for with images that are so encrypted (an encryption.json; None: plain)."""
    if name != AUTO:
        return name
    return NONE if encryption is None else best_for(encryption["cipher"])


def check(name: str) -> None:
    """Raises UsageError unless `name` is `auto`, `none`, or steps that go together."""
    if name != AUTO:
        _steps(name)


def _steps(name: str) -> list[_Step]:
    if name == NONE:
        return []
    steps = []
    kind = _BYTES
    for part in name.split("+"):
        if part not in _STEPS:
            raise UsageError(
                f"unknown front end {part!r}; there is {', '.join(names())}, joined by + where several are wanted"
            )
        if kind not in _STEPS[part].takes:
            raise UsageError(
                f"front end {name}: {part} takes bytes, so it cannot follow what makes values of them"
            )
        steps.append(_STEPS[part])
        kind = _STEPS[part].gives
    return steps


def apply(name: str, image: keras.KerasTensor, encryption: Mapping[str, Any] | None) -> keras.KerasTensor:
    """The front end's output for an input of uint8 [N, H, W, C]: float [N, H', W', F], about -1..1 at the start.

    Args:
      encryption: the dataset's encryption.json; its public parameters say how pixels are chained.

    Raises:
      UsageError: an unknown name, or images that a step does not take.
    """
    from keras import layers  # noqa: PLC0415

    steps = _steps(name)
    x = image
    for step in steps:
        layer = getattr(importlib.import_module(f"lpe.train.front_ends.{step.module}"), step.layer)
        readings = x.shape[-1] // image.shape[-1]
        x = layer(**layer.settings(encryption, readings))(x)
    if not steps or steps[-1].gives == _BYTES:
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    return x


def adapt(model: keras.Model, images: np.ndarray) -> None:
    """Has the front end take from ciphertexts, before training, what their statistics give away.

    Args:
      images: uint8 [N, H, W, C], some thousand of the training images; no labels are used.
    """
    import keras  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    for i, layer in enumerate(model.layers):
        if hasattr(layer, "adapt_to"):
            before = keras.Model(model.inputs, model.layers[i - 1].output)
            layer.adapt_to(np.asarray(before.predict(images, batch_size=512, verbose=0)).astype(np.uint8))


def register() -> None:
    """Makes all layers known to Keras, for loading models."""
    for step in _STEPS.values():
        importlib.import_module(f"lpe.train.front_ends.{step.module}")
