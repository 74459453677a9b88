"""Evaluation of a trained network on a split of a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.cached import CACHE_BYTES
from lpe.pipeline.seal.opening import DataKeySource
from lpe.train import backend
from lpe.train.loading.files import shard_files
from lpe.train.loading.inputs import EpochClock, evaluation_input
from lpe.train.runs import Run
from lpe.train.versions import DataUsed, open_version
from lpe.transforms.errors import DataError
from lpe.transforms.tables import properties_html

# What decides how images are encrypted: where one of these differs, the network sees noise.
_BINDING = ("cipher", "params", "scope", "salt")
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A network measured on a split.

    Attributes:
      data: what it was measured on.
      accuracy: share of the images whose most probable class is the right one, 0..1.
      loss: mean cross-entropy, in nats.
      examples: how many images it was measured on.
    """

    data: DataUsed
    accuracy: float
    loss: float
    examples: int

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        return {
            **self.data.properties(),
            "images": f"{self.examples:,}",
            "accuracy": f"{self.accuracy:.1%}",
            "loss": f"{self.loss:.3f}",
        }

    def _repr_html_(self) -> str:
        return properties_html("evaluate", self.properties())

    def to_json(self) -> dict[str, Any]:
        """What `lpe evaluate --json` prints of it."""
        figures = {"accuracy": self.accuracy, "loss": self.loss, "examples": self.examples}
        return {**self.data.to_json(), **figures}


def evaluate(
    run: Run,
    dataset_path: str,
    split: str = "test",
    batch_size: int = 512,
    *,
    data_key: str | DataKeySource | None = None,
    cache: str | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> Evaluation:
    """Measures a run's network on all images of a split.

    Args:
      run: a finished run, from `lpe.train.runs.load_run`.
      dataset_path: a dataset's home or one of its versions, encrypted as the training images were.
      split: its name.
      batch_size: images in a batch; changes neither accuracy nor, beyond rounding, the loss.
      data_key: the path of the data key that opens a sealed dataset, in memory, or what else gives it.
      cache: see `lpe.train.loop.TrainSpec`.
      cache_bytes: see there.

    Raises:
      DataError: the dataset does not fit the run (key, cipher, classes, image shape), has no such
        split or an empty one, is damaged, or is sealed and there is no data key.
      KeyStoreError: the data key is missing, may be read by others, or is another dataset's.
      UsageError: the home holds plain and encrypted versions, or Keras is not installed.
    """
    dataset = open_version(dataset_path)
    check_fits(run, dataset)
    if split in dataset.splits and not dataset.splits[split].examples:
        raise DataError(f"{dataset.directory}: split {split!r} is empty")
    files = shard_files(dataset, data_key, cache, cache_bytes)
    with backend.one_device():
        from lpe.train.batches import Batches  # noqa: PLC0415  (imports Keras)

        model = run.load_model()
        keras = backend.load()
        # Not by names: these have their variables from the start, so that TensorFlow traces a step once, not twice.
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        batches = Batches(evaluation_input(files, split, batch_size), EpochClock())
        with batches.failing_clearly():
            metrics = model.evaluate(batches, verbose=0, return_dict=True)
    return Evaluation(
        data=DataUsed(dataset.name, dataset.version, dataset.encryption),
        accuracy=float(metrics["accuracy"]),
        loss=float(metrics["loss"]),
        examples=dataset.splits[split].examples,
    )


def check_fits(run: Run, dataset: Dataset) -> None:
    """Checks that a run's network was trained on images and labels such as a dataset's.

    Raises:
      DataError: encryption, key, image shape or classes differ.
    """
    where = dataset.directory
    difference = (
        f"this model was trained on {_described(run.encryption)}, "
        f"{where} holds {_described(dataset.encryption)}"
    )
    if run.encryption is None or dataset.encryption is None:
        if run.encryption is not None or dataset.encrypted:
            raise DataError(
                f"{difference}; give a dataset of the kind it was trained on, or train another model on this one"
            )
    elif _binding(run.encryption) != _binding(dataset.encryption):
        raise DataError(
            f"{difference}; train on it, from this model if you like: lpe train --init-from {run.directory}"
        )
    if run.image_shape != dataset.image_shape:
        raise DataError(
            f"this model takes images of shape {run.image_shape}, those of {where} have {dataset.image_shape}"
        )
    if run.class_names != dataset.class_names:
        raise DataError(
            f"this model's classes are {_listed(run.class_names)}; those of {where} are "
            f"{_listed(dataset.class_names)}; evaluate on a dataset with the same classes in the same order"
        )


def _listed(names: tuple[str, ...]) -> str:
    """The first names, for a message."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:40] for name in names[:_SHOWN]) + more


def _binding(encryption: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal of two encryptions for a network to serve both: all but the name of the key."""
    key = encryption["key"]
    return {
        **{name: encryption[name] for name in _BINDING},
        "id": key["id"],
        "check_value": key["check_value"],
    }


def _described(encryption: Mapping[str, Any] | None) -> str:
    if encryption is None:
        return "plain images"
    key = encryption["key"]
    return (
        f"{encryption['cipher']} images (scope {encryption['scope']}, salt {encryption['salt'][:8]}…) "
        f"under key {key['name']} {key['id']}"
    )
