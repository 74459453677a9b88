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


@pytest.mark.parametrize(
    ("missing", "backend", "extra"),
    [
        (["tensorflow", "jax", "torch"], "", "train"),
        (["keras"], "", "train"),
        (["jax"], "jax", "jax"),
        (["keras"], "torch", "torch"),
    ],
    ids=str,
)
def test_what_is_not_installed_is_a_usage_error(missing, backend, extra):
    program = f"""
import os, sys
os.environ.pop("KERAS_BACKEND", None)
if {backend!r}: os.environ["KERAS_BACKEND"] = {backend!r}
for name in {missing}: sys.modules[name] = None
from lpe.train import backend
from lpe.transforms.errors import UsageError
try: backend.load()
except UsageError as error: print(error)
"""
    assert f"pip install -e '.[{extra}]'" in run_python(program)
