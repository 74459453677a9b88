"""predict: the owner encrypts an image as the model's training data was encrypted, and asks the model.

The model and whoever serves it see ciphertext alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.keyed import KeyedCipher

Ask = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, H, W, C] -> probabilities, float [N, classes]."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One image's most probable class."""

    path: str
    label: str
    probability: float


def predict(
    paths: Sequence[str],
    *,
    image_shape: tuple[int, int, int],
    class_names: tuple[str, ...],
    encryption: Mapping[str, Any] | None,
    keystore: str | None,
    ask: Ask,
) -> list[Prediction]:
    """Classifies image files, cropped and resized to the model's shape.

    Args:
      paths: PNG, JPEG, … files.
      image_shape: (H, W, C) that the model takes.
      class_names: as its training data published them.
      encryption: what the model's run recorded of its data's encryption; None for plain.
      keystore: where the key is.
      ask: the model.

    Raises:
      UsageError: the model is for encrypted images and there is no key store.
      DataError: a file is missing or no image.
      KeyStoreError: the key cannot be had, or is another one.
    """
    height, width, channels = image_shape
    options = ReadOptions((height, width), grey=channels == 1)
    images = np.stack([_read(path, options) for path in paths])
    order = list(range(len(class_names)))
    names = class_names
    if encryption is not None:
        if keystore is None:
            raise UsageError("this model was trained on encrypted images; pass --keystore")
        described = Encryption.from_json(encryption, "the run")
        key = described.open_key(keystore)
        # With a key per image the id decides the key: an id of the content serves for new images.
        ids = [f"predict-{hashlib.sha256(image.tobytes()).hexdigest()}" for image in images]
        batch = ImageBatch(ids, images, np.zeros(len(images), np.int64))
        images = KeyedCipher(described.spec, key).encrypt(batch).images
        names = described.class_names(key, class_names)
        order = described.label_order(key, len(names))
    # Class i of the owner is class order[i] of the model.
    probabilities = ask(images)[:, order]
    best = probabilities.argmax(axis=1)
    return [
        Prediction(path, names[int(label)], float(row[label]))
        for path, label, row in zip(paths, best, probabilities, strict=True)
    ]


def _read(path: str, options: ReadOptions) -> np.ndarray:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    try:
        return decode_image(data, options)
    except DataError as error:
        raise DataError(f"{path}: {error}; give another image") from error
