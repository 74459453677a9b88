"""predict: the owner encrypts images as the model's training data was encrypted, and asks the model.

The model and whoever serves it see ciphertext alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lpe.pipeline.attestation import SEALED_MODEL
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduction import Reduce, open_chain, reduced_shape, reducing
from lpe.pipeline.engine.progress import Update
from lpe.pipeline.jobs.image_paths import image_paths, listed
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.imagefile import decode_image
from lpe.pipeline.sources.recorded_reading import recorded_options
from lpe.train import predict as network
from lpe.train.onnx_model import SUFFIX as ONNX_SUFFIX
from lpe.train.onnx_model import OnnxModel
from lpe.train.runs import Run, load_run
from lpe.train.served_model import ServedModel
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.keyed import KeyedCipher
from lpe.transforms.tables import properties_html

Answers = Callable[[np.ndarray], np.ndarray]
"""A network: uint8 images [N, H, W, C] to class probabilities [N, classes]."""

Classify = Callable[[np.ndarray], tuple[list[str], list[float]]]
"""Plain images, uint8 [N, H, W, C], to names of classes and probabilities."""

_BATCH = 256
_BATCH_BYTES = 64 << 20


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


def predict(
    model: str, paths: Sequence[str], keystore: str | None = None, progress: Update | None = None
) -> list[Prediction]:
    """Classifies image files, read as those that the model was trained with, in their shape, and reduced alike.

    Args:
      model: the directory of a finished training run, an ONNX file of `lpe export`, which needs no Keras, or a sealed
        model of `train_released`, which its owner alone can open.
      paths: PNG, JPEG, … files; folders, of which all image files are taken; patterns such as `photos/*.png`.
      keystore: where the key of the model's training data is; None for a model of plain images.
      progress: called now and then with images done and images in all.

    Returns:
      One prediction for each image, in the order of `paths`; within a folder or pattern, sorted by path.

    Raises:
      UsageError: the model is for encrypted images, or sealed, and there is no key store, or Keras, or onnxruntime for
        a file, is not installed.
      AttestationError: a sealed model is missing, damaged, or another owner's.
      DataError: the model is missing, unfinished or damaged; files are missing or no images, all named at once.
      KeyStoreError: the key cannot be had, or is another one.
    """
    with _run_of(model, keystore) as run:
        return _predictions(*_opened(run), model, paths, keystore, progress)


@contextlib.contextmanager
def _run_of(model: str, keystore: str | None) -> Iterator[str]:
    """What a model is read from: the run within a sealed one, else itself."""
    if not model.endswith(SEALED_MODEL):
        yield model
        return
    if keystore is None:
        raise UsageError(f"{model}: encrypted to its owner; pass --keystore")
    from lpe.pipeline.attestation import sealed_model  # noqa: PLC0415  (imports Tink)

    with sealed_model.opened(model, keystore) as run:
        yield run


def _predictions(
    trained: Run | ServedModel,
    answers: Answers,
    model: str,
    paths: Sequence[str],
    keystore: str | None,
    progress: Update | None,
) -> list[Prediction]:
    if not paths:
        return []
    files = image_paths(paths)
    classify, shape = _classifier(trained, answers, model, keystore)
    options = recorded_options(trained.reading, shape, model)
    room = max(1, min(_BATCH, _BATCH_BYTES // math.prod(shape)))
    predictions: list[Prediction] = []
    bad: list[str] = []
    for start in range(0, len(files), room):
        read = files[start : start + room]
        images = _read_images(read, options, bad)
        if not bad:
            predictions += map(Prediction, read, *classify(np.stack(images)))
        if progress is not None:
            progress(start + len(read), len(files))
    if bad:
        raise DataError(f"{listed(bad)}; give {'other images' if len(bad) > 1 else 'another image'}")
    return predictions


def _opened(model: str) -> tuple[Run | ServedModel, Answers]:
    """What is known of a model, and its network."""
    if model.endswith(ONNX_SUFFIX) or Path(model).is_file():
        exported = OnnxModel(model)
        return exported.served, exported.probabilities
    run = load_run(model)
    return run, network.predictor(run)


def _classifier(
    model: Run | ServedModel, answers: Answers, where: str, keystore: str | None
) -> tuple[Classify, ImageShape]:
    """A function from plain images to the owner's names of their most probable classes, and the images' shape."""
    if model.encryption is None:
        return lambda images: _most_probable(answers(images), model.class_names), model.image_shape
    if keystore is None:
        raise UsageError("this model was trained on encrypted images; pass --keystore")
    encryption = Encryption.from_json(model.encryption, where)
    key = encryption.open_key(keystore)
    cipher = KeyedCipher(encryption.spec, key)
    names = encryption.class_names(key, model.class_names)
    # Class i of the owner is class order[i] of the model.
    order = encryption.label_order(key, len(names))
    reduction, shape = encryption.reduction, model.image_shape
    reduce: Reduce = _unreduced
    if reduction is not None:
        chain = open_chain(reduction, key, encryption.spec.salt, keystore)
        reduce = reducing(chain, reduction.noise_secret(key, encryption.spec.salt))
        shape = reduction.image_shape or shape
        if reduced_shape(chain, shape) != model.image_shape:
            raise DataError(
                f"{where}: damaged (its images are not what the reduction leaves); restore it from a copy"
            )
    return lambda images: _most_probable(answers(_encrypted(reduce(images), cipher))[:, order], names), shape


def _unreduced(images: np.ndarray) -> np.ndarray:
    return images


def _most_probable(probabilities: np.ndarray, class_names: Sequence[str]) -> tuple[list[str], list[float]]:
    best = probabilities.argmax(axis=1)
    return [class_names[i] for i in best], [float(value) for value in probabilities.max(axis=1)]


def _read_images(paths: Sequence[str], options: ReadOptions, bad: list[str]) -> list[np.ndarray]:
    """The images of files; what is wrong with those that cannot be read is added to `bad`."""
    images = []
    for path in paths:
        try:
            images.append(decode_image(Path(path).read_bytes(), options))
        except FileNotFoundError:
            bad.append(f"{path}: no such file")
        except DataError as error:
            bad.append(f"{path}: {error}")
    return images


def _encrypted(images: np.ndarray, cipher: KeyedCipher) -> np.ndarray:
    # With a key per image the id decides the key: an id of the content serves for new images.
    ids = [f"predict-{hashlib.sha256(image.tobytes()).hexdigest()}" for image in images]
    return cipher.encrypt(ImageBatch(ids, images, np.zeros(len(images), np.int64))).images
