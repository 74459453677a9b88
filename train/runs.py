"""A finished training run on disk: `run.json` and the network beside it. Importing this module imports no Keras."""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpe.pipeline.dataset.layout import KEYSET_NAME, NAME, VERSION
from lpe.pipeline.dataset.metadata import MOST_CLASSES
from lpe.pipeline.records.batches import MOST_IMAGE_BYTES
from lpe.pipeline.storage.documents import Fields, read_document
from lpe.train import backend, models
from lpe.transforms.errors import DataError, LpeError, UsageError
from lpe.transforms.image_shape import ImageShape

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
RUN_FILE = "run.json"  # written last: a run without it is not finished
MODEL_FILE = "model.keras"
SPEC_FILE = "spec.json"  # written first
_WORDS = re.compile(r"[a-z0-9+-]{1,100}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
      directory: its path, as it was given.
      model: the network's name.
      spec: the settings it was trained with.
      dataset: `name` and `version` of its dataset.
      class_names: output i of the network is class_names[i].
      image_shape: (H, W, C) of its images.
      encryption: the dataset's encryption.json without shards (key name, id and check value, cipher,
        salt, …); None for a run on plain images.
      accuracy: `train` and `validation`, of the best epoch, 0..1.
      best_epoch: the epoch, from 1, whose weights the model has.
      epochs: how many there were.
      seconds: training time, interruptions left out.
      seed: the seed of initial weights and of the order of images.
      reading: how its dataset's images were read from image files, unchecked; None where that was not recorded.
    """

    directory: str
    model: str
    spec: Mapping[str, Any]
    dataset: Mapping[str, str]
    class_names: tuple[str, ...]
    image_shape: ImageShape
    encryption: Mapping[str, Any] | None
    accuracy: Mapping[str, float]
    best_epoch: int
    epochs: int
    seconds: float
    seed: int
    reading: Mapping[str, Any] | None = None

    @property
    def model_path(self) -> str:
        """The Keras model file, with the best epoch's weights."""
        return str(Path(self.directory, MODEL_FILE))

    def to_json(self) -> dict[str, Any]:
        """The content of run.json."""
        fields = {key: value for key, value in dataclasses.asdict(self).items() if key != "directory"}
        return {"format_version": FORMAT_VERSION, **fields}

    def load_model(self) -> keras.Model:
        """The network, for prediction: uint8 [N, H, W, C] -> probabilities float32 [N, classes].

        It is built from what run.json says; the model file gives its weights and nothing else, so that whoever can
        write that file cannot run code here.

        Raises:
          DataError: the run's record is damaged, or its model file is missing or damaged.
          UsageError: Keras is not installed.
        """
        backend.load()
        try:
            with backend.precision_of(self.spec["precision"]):
                model = models.build(
                    self.model,
                    self.image_shape,
                    len(self.class_names),
                    self.spec["front_end"],
                    self.encryption,
                )
        except UsageError as error:
            raise DataError(
                f"{self.directory}/{RUN_FILE}: damaged ({error}); {_remedy(self.directory)}"
            ) from error
        self.load_weights(model)
        return model

    def load_weights(self, model: keras.Model) -> None:
        """Gives a network of the same structure the weights of this run's.

        Raises:
          DataError: the model file is missing or damaged.
        """
        weights = importlib.import_module("lpe.train.weights")  # imports Keras
        try:
            weights.load_archive(model, Path(self.model_path))
        except FileNotFoundError:
            raise DataError(f"{self.model_path}: missing; {_remedy(self.directory)}") from None
        except DataError as error:
            raise DataError(f"{self.model_path}: damaged ({error}); {_remedy(self.directory)}") from error


def load_run(path: str) -> Run:
    """Reads a finished run.

    Args:
      path: the run directory.

    Raises:
      DataError: no run there, one that is not finished, or damaged metadata.
    """
    try:
        record = read_document(str(Path(path, RUN_FILE)), _remedy(path))
    except (FileNotFoundError, NotADirectoryError):
        if Path(path, SPEC_FILE).exists():
            raise DataError(f"{path}: the training has not finished; {_how_to_finish(path)}") from None
        raise DataError(
            f"{path}: no training run here (no {RUN_FILE}); check the path or run `lpe train`"
        ) from None
    version = record.integer("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: run format {version}, this `lpe` reads {FORMAT_VERSION}; use the version of `lpe` that trained it"
        )
    dataset, accuracy, spec = record.object("dataset"), record.object("accuracy"), record.object("spec")
    _check_spec(spec)
    return Run(
        directory=path,
        model=record.text("model", _WORDS),
        spec=spec.raw(),
        dataset={"name": dataset.text("name", NAME), "version": dataset.text("version", VERSION)},
        class_names=read_class_names(record),
        image_shape=read_image_shape(record),
        encryption=read_encryption(record),
        accuracy={name: accuracy.number(name, 0, 1) for name in ("train", "validation")},
        best_epoch=record.integer("best_epoch", 1),
        epochs=record.integer("epochs", 1),
        seconds=record.number("seconds", 0),
        seed=record.integer("seed", 0, 2**32 - 1),
        reading=read_reading(record),
    )


def _how_to_finish(path: str) -> str:
    from lpe.train.resuming import resuming_command  # noqa: PLC0415  (which needs what is above)

    try:
        record = read_document(str(Path(path, SPEC_FILE)), _remedy(path))
        return f"this goes on where it stopped: {resuming_command(path, record)}"
    except LpeError:
        return "run the same `lpe train` again, it resumes"


def _remedy(directory: str) -> str:
    return f"restore it, or delete {directory} and train again"


def _check_spec(spec: Fields) -> None:
    """Refuses a spec without what loading the network needs."""
    spec.text("front_end", _WORDS)
    if spec.text("precision") not in backend.PRECISIONS:
        spec.refuse("an unknown precision")


def read_class_names(record: Fields) -> tuple[str, ...]:
    """The class names in a record of a model."""
    names = record.texts("class_names")
    if not 1 <= len(names) <= MOST_CLASSES:
        record.refuse(f"{len(names)} class names; there are 1 to {MOST_CLASSES}")
    return names


def read_image_shape(record: Fields) -> ImageShape:
    """The shape of images in a record of a model."""
    shape = record.integers("image_shape", 1, MOST_IMAGE_BYTES)
    if len(shape) != 3 or math.prod(shape) > MOST_IMAGE_BYTES:
        record.refuse(f"an image shape is height, width, channels, of at most {MOST_IMAGE_BYTES} bytes")
    return shape[0], shape[1], shape[2]


def read_encryption(record: Fields) -> Mapping[str, Any] | None:
    """The dataset's encryption.json as it was recorded, once all that training looks at is there."""
    encryption = record.optional_object("encryption")
    if encryption is None:
        return None
    for name in ("cipher", "scope", "salt"):
        encryption.text(name, _WORDS)
    params, key = encryption.object("params"), encryption.object("key")
    if params.has("chain"):
        params.text("chain", _WORDS)
    key.text("name", KEYSET_NAME)
    key.integer("id")
    key.text("check_value", _WORDS)
    return encryption.raw()


def read_reading(record: Fields) -> Mapping[str, Any] | None:
    """How image files were read, in a record of a model; that of an older one may not have it."""
    reading = record.optional_object("reading") if record.has("reading") else None
    return None if reading is None else reading.raw()
