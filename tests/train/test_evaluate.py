"""Evaluation on a split, and datasets that do not fit a run."""

import dataclasses

import numpy as np
import pytest

from lpe.train.evaluate import evaluate
from lpe.train.loop import fit
from lpe.train.predict import predict
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.train.datasets import CLASSES, ENCRYPTION, toy_images, write_dataset


def test_evaluate_agrees_with_predict(spec, toy):
    run = load_run(spec.output)
    result = evaluate(run, toy, batch_size=7)
    images, labels = toy_images(60, 1)
    probabilities = predict(run, images)
    assert result.examples == 60
    assert result.accuracy == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert result.loss == pytest.approx(-np.log(probabilities[np.arange(60), labels]).mean(), rel=1e-3)
    with pytest.raises(DataError, match="no split 'dev'; it has train, test"):
        evaluate(run, toy, split="dev")


def test_evaluate_refuses_images_under_another_key(encrypted, spec, toy, tmp_path):
    trained = dataclasses.replace(spec, data=encrypted, output=str(tmp_path / "run"), epochs=1)
    fit(trained)
    run = load_run(trained.output)
    assert run.encryption["key"] == ENCRYPTION["key"]
    assert evaluate(run, encrypted).examples == 60

    renamed = {**ENCRYPTION, "key": {**ENCRYPTION["key"], "name": "clinic"}}
    assert evaluate(run, write_dataset(tmp_path / "renamed", encryption=renamed)).examples == 60
    for number, change in enumerate(
        [
            {"key": {**ENCRYPTION["key"], "id": 18}},
            {"key": {**ENCRYPTION["key"], "check_value": "cd" * 16}},
            {"cipher": "lpe-50"},
            {"scope": "image"},
            {"salt": "11" * 16},
        ]
    ):
        other = write_dataset(tmp_path / str(number), encryption={**ENCRYPTION, **change})
        with pytest.raises(DataError, match=r"trained on lpe-100 .* under key patients 17.* --init-from"):
            evaluate(run, other)
    with pytest.raises(DataError, match=r"trained on lpe-100 .* holds plain images"):
        evaluate(run, toy)
    with pytest.raises(DataError, match=r"trained on plain images, .* holds lpe-100"):
        evaluate(load_run(spec.output), encrypted)


def test_evaluate_refuses_other_shapes_and_classes(spec, tmp_path):
    run = load_run(spec.output)
    small = write_dataset(tmp_path / "small", {"test": toy_images(9, 0, (8, 8, 3))})
    with pytest.raises(DataError, match=r"shape \(16, 16, 3\), .* \(8, 8, 3\)"):
        evaluate(run, small)
    swapped = write_dataset(tmp_path / "swapped", class_names=CLASSES[::-1])
    with pytest.raises(
        DataError, match=r"classes are dark, bright, left; those of .* are left, bright, dark"
    ):
        evaluate(run, swapped)
