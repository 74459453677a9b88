"""Fine-tuning: which finished runs a new one may start from, and what it records of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lpe.pipeline import storage
from lpe.train.loading.files import ShardFiles
from lpe.train.runs import Run
from lpe.transforms.errors import DataError


def check_origin(origin: Run, files: ShardFiles, *, model: str, front_end: str) -> None:
    """Checks that the network of a finished run can be trained on with a dataset.

    Args:
      origin: the finished run.
      files: of the dataset that the new run is trained on.
      model: the new run's network.
      front_end: the new run's front end, `auto` resolved.

    Raises:
      DataError: they differ in network, front end, image shape or number of classes.
    """
    where = f"{origin.directory}: cannot start from this run"
    if origin.model != model:
        raise DataError(
            f"{where}: its network is {origin.model}, not {model}; ask for --model {origin.model}"
        )
    if origin.spec["front_end"] != front_end:
        raise DataError(
            f"{where}: its front end is {origin.spec['front_end']}, not {front_end}; ask for --front-end "
            f"{origin.spec['front_end']}"
        )
    remedy = "train without --init-from, or from a run on such images"
    dataset, shape = files.dataset, files.image_shape
    if origin.image_shape != shape:
        raise DataError(
            f"{where}: it takes images of shape {origin.image_shape}, those of {dataset.directory} have "
            f"{shape}; {remedy}"
        )
    if len(origin.class_names) != len(dataset.class_names):
        raise DataError(
            f"{where}: it tells {len(origin.class_names)} classes apart, {dataset.directory} has "
            f"{len(dataset.class_names)}; {remedy}"
        )


def origin_record(origin: Run) -> dict[str, str]:
    """What a run records of the one that it started from: its directory and the SHA-256 of its model file.

    Raises:
      DataError: the model file cannot be read.
    """
    try:
        with Path(origin.model_path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{origin.model_path}: cannot be read ({error.strerror}); restore it") from error
    return {"run": storage.absolute(origin.directory), "model_sha256": digest}
