"""What `train` may not do: import keys or ciphers, or Keras before it is needed; and what it can do without."""

import ast
import json
from pathlib import Path

import pytest

import lpe.train
from tests.train.running import run_python

ROOT = Path(lpe.train.__file__).parent
FORBIDDEN = (
    "lpe.pipeline.keystore",
    "lpe.pipeline.encryption",
    "lpe.transforms.ciphers",
    "lpe.transforms.keyed",
    "lpe.transforms.attacks",
)


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_nothing_that_can_decrypt(path):
    bad = [name for name in imported_names(path) if f"{name}.".startswith(tuple(f"{f}." for f in FORBIDDEN))]
    assert not bad


def test_reading_a_run_needs_no_keras():
    program = "import sys; from lpe.train import runs, loop, evaluate, predict; print('keras' in sys.modules)"
    assert run_python(program) == "False"


BARE = """
import dataclasses, json, sys
for name in ("tensorflow", "torch", "apache_beam", "tink", "tensorflow_datasets"):
    sys.modules[name] = None
from tests.train.datasets import ENCRYPTION, toy_images, write_dataset
from lpe.train import backend
from lpe.train.evaluate import evaluate
from lpe.train.loop import TrainSpec, fit
from lpe.train.predict import predict
from lpe.train.recipes import Recipe
from lpe.train.runs import load_run

place = sys.argv[1]
data = write_dataset(f"{place}/toy", encryption=ENCRYPTION)
recipe = Recipe(batch_size=16, ema=0.8, label_smoothing=0.1, clip_norm=1.0)
spec = TrainSpec(data=data, output=f"{place}/run", front_end="dechain+embedding", epochs=2, recipe=recipe)
result = fit(spec)
run = load_run(spec.output)
measured = evaluate(run, data, batch_size=7)
probabilities = predict(run, toy_images(60, 1)[0][:59])
right = float((probabilities.argmax(axis=1) == toy_images(60, 1)[1][:59]).mean())
fit(dataclasses.replace(spec, output=f"{place}/again"))
print(json.dumps({"devices": backend.devices(), "accuracy": measured.accuracy, "predicted": right}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_jax_trains_without_tensorflow_or_beam(tmp_path, devices):
    flags = f"--xla_force_host_platform_device_count={devices}"
    printed = run_python(BARE, str(tmp_path), KERAS_BACKEND="jax", XLA_FLAGS=flags)
    found = json.loads(printed)
    assert found["devices"] == devices
    assert found["accuracy"] == pytest.approx(found["predicted"], abs=1 / 59)
    first, again = (
        [line.split('"seconds"')[0] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("run", "again")
    )
    assert first == again
