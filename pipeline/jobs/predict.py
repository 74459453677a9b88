"""predict: the owner encrypts images as the model's training data was encrypted, and asks the model.

The model and whoever serves it see ciphertext alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image
from lpe.train import predict as network
from lpe.train.runs import load_run
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.keyed import KeyedCipher
from lpe.transforms.tables import properties_html


@dataclasses.dataclass(frozen=True)
class Prediction:
    """An image's most probable class.

    Attributes:
      path: the image file.
      label: the class's name, as the owner knows it.
      probability: 0..1.
    """

    path: str
    label: str
    probability: float

    def properties(self) -> dict[str, str]:
        """A row of a summary table."""
        return {"image": self.path, "class": self.label, "probability": f"{self.probability:.1%}"}

    def _repr_html_(self) -> str:
        return properties_html("predict", self.properties())

    def to_json(self) -> dict[str, Any]:
        """One entry of `predictions`."""
        return dataclasses.asdict(self)


def predict(run: str, paths: Sequence[str], keystore: str | None = None) -> list[Prediction]:
    """Classifies image files, cropped and resized to the model's shape.

    Args:
      run: the directory of a finished training run.
      paths: PNG, JPEG, … files.
      keystore: where the key of the run's training data is; None for a run on plain images.

    Raises:
      UsageError: the model is for encrypted images and there is no key store, or Keras is not installed.
      DataError: the run is missing, unfinished or damaged; a file is missing or no image.
      KeyStoreError: the key cannot be had, or is another one.
    """
    trained = load_run(run)
    if not paths:
        return []
    images = _read_images(paths, trained.image_shape)
    names = trained.class_names
    order = list(range(len(names)))
    if trained.encryption is not None:
        if keystore is None:
            raise UsageError("this model was trained on encrypted images; pass --keystore")
        encryption = Encryption.from_json(trained.encryption, "the run")
        key = encryption.open_key(keystore)
        images = _encrypted(images, KeyedCipher(encryption.spec, key))
        names = encryption.class_names(key, names)
        order = encryption.label_order(key, len(names))
    # Class i of the owner is class order[i] of the model.
    probabilities = network.predict(trained, images)[:, order]
    return [
        Prediction(path, names[int(row.argmax())], float(row.max()))
        for path, row in zip(paths, probabilities, strict=True)
    ]


def _read_images(paths: Sequence[str], image_shape: ImageShape) -> np.ndarray:
    height, width, channels = image_shape
    options = ReadOptions((height, width), grey=channels == 1)
    return np.stack([_read_image(path, options) for path in paths])


def _read_image(path: str, options: ReadOptions) -> np.ndarray:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    try:
        return decode_image(data, options)
    except DataError as error:
        raise DataError(f"{path}: {error}; give another image") from error


def _encrypted(images: np.ndarray, cipher: KeyedCipher) -> np.ndarray:
    # With a key per image the id decides the key: an id of the content serves for new images.
    ids = [f"predict-{hashlib.sha256(image.tobytes()).hexdigest()}" for image in images]
    return cipher.encrypt(ImageBatch(ids, images, np.zeros(len(images), np.int64))).images
