"""Keras and its backend: what may be asked of it."""

import pytest

from lpe.train.loop import TrainSpec, fit
from lpe.transforms.errors import UsageError
from tests.train.datasets import write_dataset
from tests.train.running import run_python


def test_an_unknown_precision_is_refused(tmp_path):
    data = write_dataset(tmp_path / "toy")
    with pytest.raises(UsageError, match="unknown precision 'half'; there is float32, mixed_bfloat16"):
        fit(TrainSpec(data=data, output=str(tmp_path / "run"), precision="half"))


@pytest.mark.parametrize("missing", [["tensorflow", "jax", "torch"], ["keras"]], ids=["backend", "keras"])
def test_what_is_not_installed_is_a_usage_error(missing):
    program = f"""
import sys
for name in {missing}: sys.modules[name] = None
from lpe.train import backend
from lpe.transforms.errors import UsageError
try: backend.load()
except UsageError as error: print(error)
"""
    assert "pip install 'learnable-pixel-encryption[train]'" in run_python(program)
