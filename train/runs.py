"""A finished training run on disk: `run.json` and the network beside it. Importing this module imports no Keras."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpe.train import backend, models
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
RUN_FILE = "run.json"  # written last: a run without it is not finished
MODEL_FILE = "model.keras"
SPEC_FILE = "spec.json"  # written first


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

        Raises:
          DataError: the model file is missing or damaged.
          UsageError: Keras is not installed.
        """
        keras = backend.load()
        models.register()
        try:
            return keras.models.load_model(self.model_path, compile=False)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{self.model_path}: missing or damaged ({error}); restore it, "
                f"or delete {self.directory} and train again"
            ) from error


def load_run(path: str) -> Run:
    """Reads a finished run.

    Args:
      path: the run directory.

    Raises:
      DataError: no run there, one that is not finished, or damaged metadata.
    """
    file = Path(path, RUN_FILE)
    try:
        value = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        if Path(path, SPEC_FILE).exists():
            raise DataError(
                f"{path}: the training has not finished; run the same `lpe train` again, it resumes"
            ) from None
        raise DataError(
            f"{path}: no training run here (no {RUN_FILE}); check the path or run `lpe train`"
        ) from None
    except ValueError as error:
        raise DataError(f"{file}: damaged ({error}); delete {path} and train again") from error
    return _from_json(path, value)


def _from_json(path: str, value: Any) -> Run:
    try:
        if value["format_version"] != FORMAT_VERSION:
            raise DataError(
                f"{path}: run format {value['format_version']!r}, this `lpe` reads {FORMAT_VERSION}; "
                "use the version of `lpe` that trained it"
            )
        fields = {
            field.name: value[field.name] for field in dataclasses.fields(Run) if field.name != "directory"
        }
        fields["class_names"] = tuple(fields["class_names"])
        height, width, channels = fields["image_shape"]
        fields["image_shape"] = (height, width, channels)
        return Run(directory=path, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}/{RUN_FILE}: damaged ({error!r}); delete {path} and train again") from error
