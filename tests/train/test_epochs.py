"""Epochs of a run: their checkpoints, and which weights are kept."""

import dataclasses
from pathlib import Path

import pytest

from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.recipes import RECIPES
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.train.datasets import toy_images, write_dataset
from tests.train.running import KilledError, kill_after


def test_a_damaged_checkpoint_is_named(spec, tmp_path):
    killed = dataclasses.replace(spec, output=str(tmp_path / "killed"))
    with pytest.raises(KilledError):
        fit(killed, progress=kill_after(1))
    Path(killed.output, "checkpoints", "epoch-0001.weights.h5").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"epoch-0001\.weights\.h5: damaged .* delete it and train again"):
        fit(killed)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_what_was_validated_is_what_is_kept(tmp_path, precision):
    """With averaged weights, whatever the precision, and a kill: the model file has the best epoch's accuracy."""
    splits = {"train": toy_images(120, 0), "validation": toy_images(60, 1)}
    data = write_dataset(tmp_path / "toy", splits)
    averaged = dataclasses.replace(RECIPES["fast"], batch_size=16, learning_rate=0.02, ema=0.8)
    spec = TrainSpec(data=data, output=str(tmp_path / "run"), epochs=4, recipe=averaged, precision=precision)
    with pytest.raises(KilledError):
        fit(spec, progress=kill_after(1))
    result = fit(spec)
    found = evaluate(load_run(spec.output), data, "validation")
    assert found.accuracy == pytest.approx(result.accuracy["validation"], abs=1e-6)
    assert found.accuracy > 0.5
