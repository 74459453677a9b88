"""Finished runs whose networks were not trained, but have random weights: a second each, and as good for files."""

import json
from pathlib import Path

import keras
import numpy as np

from lpe.train import models
from tests.train.datasets import CLASSES, ENCRYPTION

SHAPE = (8, 8, 3)


def untrained_run(
    directory,
    front_end="none",
    encryption=ENCRYPTION,
    *,
    network="cnn",
    shape=SHAPE,
    classes=CLASSES,
    precision="float32",
):
    """The path of a run of a network, as training leaves it."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    model = models.build(network, shape, len(classes), front_end, encryption)
    random = np.random.default_rng(0)
    for weight in model.weights:  # an embedding's
        if keras.backend.standardize_dtype(weight.dtype) != "float32":
            weight.assign(random.integers(0, 2 if weight.name == "chosen" else 256, weight.shape))
    images = random.integers(0, 256, (16, *shape), np.uint8)
    for _ in range(10):  # so that normalisation tells one image from another
        model(images, training=True)
    model.save(directory / "model.keras")
    record = {
        "format_version": 1,
        "model": network,
        "spec": {"front_end": front_end, "precision": precision},
        "dataset": {"name": "toy", "version": "1.0.0"},
        "class_names": list(classes),
        "image_shape": list(shape),
        "encryption": encryption,
        "accuracy": {"train": 0.5, "validation": 0.5},
        "best_epoch": 1,
        "epochs": 1,
        "seconds": 1.0,
        "seed": 0,
    }
    (directory / "run.json").write_text(json.dumps(record))
    return str(directory)
