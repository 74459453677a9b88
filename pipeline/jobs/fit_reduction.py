"""fit-reduction: an encoder of a learned reduction, fitted to a part of an owner's labelled images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.encryption.encoders import ENCODER_FILE
from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources.plan import Plan, ReadSpec, open_plan
from lpe.train.reduction.examples import Examples
from lpe.train.reduction.fitting import Fitted, fit_encoder
from lpe.train.reduction.spec import FitSpec
from lpe.transforms.errors import DataError, UsageError, did_you_mean
from lpe.transforms.tables import properties_html

FIT_FILE = "fit.json"
_VALIDATION = "validation"
_HELD_OUT = 10
"""Each so many-th image of train is held out where there is no validation split."""
_MOST_HELD_OUT = 5000
_BAD = "remove or replace it"


@dataclasses.dataclass(frozen=True)
class FittedReduction:
    """An encoder that was written.

    Attributes:
      output: its folder.
      spec: how it was fitted.
      classes: the classes that it was fitted to.
      held_out: how many images it was measured on.
      fitted: the encoder and its figures.
    """

    output: str
    spec: FitSpec
    classes: tuple[str, ...]
    held_out: int
    fitted: Fitted

    def to_json(self) -> dict[str, Any]:
        """What `fit.json` and `--json` say."""
        fitted = self.fitted
        return {
            "digest": fitted.encoder.digest,
            "image_shape": list(fitted.encoder.image_shape),
            "released_shape": list(fitted.encoder.released_shape),
            "settings": dataclasses.asdict(self.spec),
            "classes": list(self.classes),
            "images": {"fitted": fitted.images, "held_out": self.held_out},
            "accuracy": round(fitted.accuracy, 4),
            "psnr": {"decoder": round(fitted.psnr, 2), "mean_image": round(fitted.mean_psnr, 2)},
            "fit_seconds": round(fitted.seconds, 1),
        }

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        fitted = self.fitted
        shapes = ("×".join(map(str, s)) for s in (fitted.encoder.image_shape, fitted.encoder.released_shape))
        return {
            "encoder": f"{storage.join(self.output, ENCODER_FILE)}, a secret like a key",
            "digest": fitted.encoder.digest,
            "released": " → ".join(shapes),
            "fitted to": f"{fitted.images:,} images of {len(self.classes)} classes",
            "your own head": f"{fitted.accuracy:.1%} right on {self.held_out:,} images held out",
            "a decoder restores": f"{fitted.psnr:.1f} dB of them; the mean image is {fitted.mean_psnr:.1f} dB",
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before it is used."""
        return (
            "If the trainer's network is no better than this head, there is nothing to outsource.",
            "Who has the encoder restores what the decoder did; keep the folder as you keep keys, and the images: "
            "nothing gives them back.",
            f"next: lpe encrypt … --reduce learned:{self.output}",
        )

    def _repr_html_(self) -> str:
        return properties_html("fit-reduction", self.properties())


def fit_reduction(
    read: ReadSpec,
    output: str,
    spec: FitSpec | None = None,
    images: int = 20_000,
    classes: tuple[str, ...] = (),
    note: Callable[[str], None] = lambda line: None,
) -> FittedReduction:
    """Fits an encoder to the split train, and writes it with its figures.

    It is measured on the split validation, or else on each tenth image of train, which it is not fitted to.

    Args:
      read: plain labelled images of one shape.
      output: the folder for `encoder.bin`, a secret like a key, and `fit.json`.
      spec: what is fitted; None for the defaults.
      images: how many images are fitted to, at most; drawn at random.
      classes: fit to these classes alone; none for all.
      note: called with a line now and then.

    Raises:
      UsageError: the folder holds an encoder already, an unknown class, images smaller than what is released, or Keras
        is not installed.
      DataError: the images are encrypted, damaged, too few, or differ in shape.
    """
    spec = spec or FitSpec()
    path = storage.join(output, ENCODER_FILE)
    if storage.exists(path):
        raise UsageError(
            f"{path}: an encoder is there already, and datasets may need it; choose another --output"
        )
    with open_plan(read, digest=False) as plan:
        plan.require_plain("fit to the plain images")
        numbers = _numbers(plan, classes)
        note("reading")
        train, held_out = (
            Examples.read(batches, spec) for batches in (_train(plan, numbers), _held_out(plan, numbers))
        )
        names = plan.class_names
    fitted = fit_encoder(train.part(images, spec.seed), held_out.part(_MOST_HELD_OUT, spec.seed), spec, note)
    held = min(len(held_out.labels), _MOST_HELD_OUT)
    result = FittedReduction(output, spec, tuple(names[number] for number in numbers), held, fitted)
    text = json.dumps(result.to_json(), indent=2) + "\n"
    storage.write_atomic(storage.join(output, FIT_FILE), text.encode(), private=True)
    storage.write_atomic(path, fitted.encoder.to_bytes(), private=True)  # last: without it nothing was fitted
    return result


def _numbers(plan: Plan, classes: tuple[str, ...]) -> list[int]:
    """The labels of classes; all where none is named."""
    for name in classes:
        if name not in plan.class_names:
            hint = did_you_mean(name, plan.class_names)
            raise UsageError(f"{plan.source}: no class {name!r}; there is {_first(plan.class_names)}{hint}")
    return [number for number, name in enumerate(plan.class_names) if not classes or name in classes]


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _train(plan: Plan, numbers: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    all_of_it = _VALIDATION in plan.splits
    for at, images, labels in _batches(plan, "train", numbers):
        kept = np.full(len(at), True) if all_of_it else at % _HELD_OUT != _HELD_OUT - 1
        yield images[kept], labels[kept]


def _held_out(plan: Plan, numbers: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if _VALIDATION in plan.splits:
        for _, images, labels in _batches(plan, _VALIDATION, numbers):
            yield images, labels
        return
    for at, images, labels in _batches(plan, "train", numbers):
        kept = at % _HELD_OUT == _HELD_OUT - 1
        yield images[kept], labels[kept]


def _batches(
    plan: Plan, split: str, numbers: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Positions, images and labels of a split's images of some classes."""
    if plan.image_shape is None:
        raise DataError(f"{plan.source}: images differ in shape; give --image-size HEIGHTxWIDTH")
    if split not in plan.splits:
        raise DataError(f"{plan.source}: no split {split!r} to fit to; there is {', '.join(plan.splits)}")
    start = 0
    for task in plan.tasks:
        if task.split == split:
            for batch in task.reader.batches(fail(_BAD)):
                at = np.arange(start, start + len(batch))
                start += len(batch)
                wanted = np.isin(batch.labels, numbers)
                yield at[wanted], batch.images[wanted], batch.labels[wanted]
