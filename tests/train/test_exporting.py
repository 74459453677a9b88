"""Exported models answer as the network does, whatever its front end, and carry what a prediction needs."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lpe.train import backend
from lpe.train.exporting import export_model
from lpe.train.onnx_model import OnnxModel
from lpe.train.predict import predict
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError, UsageError
from tests.train.datasets import CLASSES, ENCRYPTION
from tests.train.running import ROOT, run_python
from tests.train.untrained import SHAPE, untrained_run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
tensorflow = pytest.importorskip("tensorflow")

IMAGES = np.random.default_rng(1).integers(0, 256, (5, *SHAPE), np.uint8)
LPE_50 = {**ENCRYPTION, "cipher": "lpe-50", "params": {"chain": "row", "channels": "shared"}}
FRONT_ENDS = [
    ("dechain+embedding", LPE_50),
    ("affine", ENCRYPTION),
    ("bit-planes+adaptation", ENCRYPTION),
    ("embedding+adaptation-shared", ENCRYPTION),
]


@pytest.fixture(autouse=True)
def _on_tensorflow():
    if backend.name() != "tensorflow":
        pytest.skip("ONNX and SavedModel are written with TensorFlow")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on images that are said to be encrypted, which computed in bfloat16."""
    directory = tmp_path_factory.mktemp("runs") / "1"
    return load_run(untrained_run(directory, "dechain+embedding", precision="mixed_bfloat16"))


def expected(run, images=IMAGES):
    """What the network answers in float32."""
    return predict(dataclasses.replace(run, spec={**run.spec, "precision": "float32"}), images)


@pytest.mark.parametrize(("front_end", "encryption"), FRONT_ENDS, ids=[name for name, _ in FRONT_ENDS])
def test_onnx_answers_as_the_network(tmp_path, front_end, encryption):
    run = load_run(untrained_run(tmp_path / "run", front_end, encryption))
    exported = export_model(run, "onnx", str(tmp_path / "model.onnx"))
    assert exported.bytes == (tmp_path / "model.onnx").stat().st_size
    model = OnnxModel(exported.output)
    answers = expected(run)
    assert np.ptp(answers, axis=0).max() > 0.01, "the test's network tells images from each other"
    np.testing.assert_allclose(model.probabilities(IMAGES), answers, atol=1e-5)
    np.testing.assert_allclose(model.probabilities(IMAGES[:1]), answers[:1], atol=1e-5)
    assert (model.served.class_names, model.served.image_shape) == (CLASSES, SHAPE)
    assert model.served.encryption == encryption
    assert {path.name for path in tmp_path.iterdir()} == {"run", "model.onnx"}


@pytest.mark.parametrize("network", ["vit", pytest.param("convmixer", marks=pytest.mark.slow)])
def test_onnx_answers_as_a_network_of_patches(tmp_path, network):
    run = load_run(untrained_run(tmp_path / "run", network=network))
    export_model(run, "onnx", str(tmp_path / "model.onnx"))
    answers = expected(run)
    assert np.ptp(answers, axis=0).max() > 0.001
    np.testing.assert_allclose(
        OnnxModel(str(tmp_path / "model.onnx")).probabilities(IMAGES), answers, atol=1e-5
    )


def test_what_is_not_for_prediction_stays_behind(tmp_path, run):
    recorded = {**ENCRYPTION, "source": "aGlkZGVu", "shards": [1], "key": {**ENCRYPTION["key"], "more": "x"}}
    export_model(dataclasses.replace(run, encryption=recorded), "onnx", str(tmp_path / "model.onnx"))
    model = OnnxModel(str(tmp_path / "model.onnx"))
    assert model.served.encryption == ENCRYPTION
    np.testing.assert_allclose(model.probabilities(IMAGES), expected(run), atol=1e-5)
    assert str(ROOT).encode() not in (tmp_path / "model.onnx").read_bytes()


def test_a_saved_model_answers_as_the_network(tmp_path, run):
    exported = export_model(run, "savedmodel", str(tmp_path / "served" / "1"))
    served = tensorflow.saved_model.load(exported.output)
    np.testing.assert_allclose(served.serve(IMAGES).numpy(), expected(run), atol=1e-5)
    described = json.loads(Path(exported.output, "assets.extra", "lpe.json").read_text())
    assert described["encryption"] == ENCRYPTION
    with pytest.raises(DataError, match="a directory is there; remove it, or choose another --output"):
        export_model(run, "savedmodel", exported.output)


PROGRAM = """
import sys, numpy as np, torch
from lpe.train.exporting import export_model
from lpe.train.predict import predict
from lpe.train.runs import load_run
run = load_run(sys.argv[1])
export_model(run, "torch", sys.argv[2])
described = {"lpe.json": ""}
program = torch.export.load(sys.argv[2], extra_files=described).module()
images = np.random.default_rng(1).integers(0, 256, (5, *run.image_shape), np.uint8)
for part in (images, images[:1]):
    answers = program(torch.from_numpy(part)).detach().numpy()
    run.spec["precision"] = "float32"
    np.testing.assert_allclose(answers, predict(run, part), atol=1e-5)
print(described["lpe.json"])
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_loads_what_it_writes(tmp_path, run):
    printed = run_python(PROGRAM, run.directory, str(tmp_path / "model.pt2"), KERAS_BACKEND="torch")
    assert json.loads(printed)["class_names"] == list(CLASSES)
    assert str(ROOT).encode() not in (tmp_path / "model.pt2").read_bytes()


@pytest.mark.parametrize(
    ("form", "name", "said"),
    [
        ("onx", "m.onnx", "unknown format 'onx'; there is onnx, savedmodel, torch; did you mean onnx?"),
        ("onnx", "m.pb", "m.pb: ONNX is a file; give --output a name that ends in .onnx"),
        (
            "torch",
            "m.pt2",
            "Keras on TensorFlow does not write ExportedProgram: set KERAS_BACKEND=torch (extra torch)",
        ),
        ("onnx", "s3://bucket/m.onnx", "models are written on this machine"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(lpe, tmp_path, run, form, name, said):
    output = name if "://" in name else tmp_path / name
    refused = lpe("export", "--run", run.directory, "--format", form, "--output", output)
    assert (refused.code, refused.err.count("\n"), refused.out) == (2, 1, "")
    assert said in refused.err


def test_another_backend_says_which_one_to_take(run, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError, match=re.escape("set KERAS_BACKEND=tensorflow (extra train)")):
        export_model(run, "onnx", str(tmp_path / "m.onnx"))


def test_a_missing_library_is_named_with_its_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match=r"this needs onnx .* extra onnx: pip install"):
        export_model(run, "onnx", str(tmp_path / "m.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_leaves_nothing_behind(tmp_path):
    run = load_run(untrained_run(tmp_path / "run"))
    Path(run.model_path).write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"model.keras: damaged"):
        export_model(run, "onnx", str(tmp_path / "out" / "m.onnx"))
    assert list((tmp_path / "out").iterdir()) == []
