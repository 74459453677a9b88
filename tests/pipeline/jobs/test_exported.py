"""The owner's side of an exported model: photos are encrypted and classified under onnxruntime alone, without Keras."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpe.pipeline.cli.app import main
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import KeyStore
from lpe.train import backend
from lpe.train.exporting import export_model
from lpe.train.runs import load_run
from lpe.transforms.batch import ImageBatch
from lpe.transforms.keyed import KeyedCipher
from tests.pipeline.running import encrypting

for name in ("onnx", "onnxruntime", "tf2onnx", "tensorflow"):
    pytest.importorskip(name)
if backend.name() != "tensorflow":
    pytest.skip("ONNX is written with TensorFlow", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[3]
WITHOUT_KERAS = """
import sys
for name in ("keras", "tensorflow", "jax", "torch", "tf2onnx"):
    sys.modules[name] = None
from lpe.pipeline.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A run, its model in ONNX, photos, what they are for the model, and where the key is."""

    run: str
    model: str
    photos: list[str]
    ciphertexts: np.ndarray
    class_names: tuple[str, ...]
    keystore: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    """A model of encrypted images whose class names are hidden."""
    from tests.train.untrained import untrained_run  # noqa: PLC0415  (imports Keras)

    folder = tmp_path_factory.mktemp("exported")
    keystore = str(folder / "keys")
    KeyStore(keystore).create("patients")
    words = encrypting(keystore, "synthetic:100", folder / "enc" / "shapes")
    assert main([*map(str, words), "--hide-labels"]) == 0
    data = open_dataset(str(folder / "enc" / "shapes"))
    run = untrained_run(
        folder / "run", "dechain+embedding", data.encryption, shape=data.image_shape, classes=data.class_names
    )
    export_model(load_run(run), "onnx", str(folder / "model.onnx"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    photos = [str(folder / f"{i}.png") for i in range(len(pixels))]
    for path, image in zip(photos, pixels, strict=True):
        Image.fromarray(image).save(path)
    encryption = Encryption.from_json(data.encryption, "")
    cipher = KeyedCipher(encryption.spec, encryption.open_key(keystore))
    ciphertexts = cipher.encrypt(ImageBatch(["a", "b", "c"], pixels, np.zeros(3, np.int64))).images
    return Exported(run, str(folder / "model.onnx"), photos, ciphertexts, data.class_names, keystore)


def python(code: str, *words: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_photos_are_classified_and_a_program_serves_the_model(lpe, exported, tmp_path):
    asked = ("--keystore", exported.keystore, *exported.photos, "--json")
    by_run = lpe("predict", "--run", exported.run, *asked).json["predictions"]
    by_file = json.loads(python(WITHOUT_KERAS, "predict", "--model", exported.model, *asked))["predictions"]
    probabilities = [found["probability"] for found in by_file]
    assert [found["label"] for found in by_file] == [found["label"] for found in by_run]
    assert probabilities == pytest.approx([found["probability"] for found in by_run], abs=1e-5)
    assert len({*probabilities}) == 3

    # The program in train/README.md, where there is no lpe: it gets ciphertexts, and sees no name of a class.
    np.save(tmp_path / "encrypted.npy", exported.ciphertexts)
    shutil.copy(exported.model, tmp_path / "model.onnx")
    text = (ROOT / "train" / "README.md").read_text()
    (program,) = (
        block for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) if "onnxruntime" in block
    )
    assert len(program.splitlines()) <= 10
    barred = "import sys\nsys.modules.update(lpe=None, keras=None, tensorflow=None, torch=None, jax=None)\n"
    printed = [line.split() for line in python(barred + program, folder=tmp_path).splitlines()]
    assert [float(probability) for _, probability in printed] == pytest.approx(probabilities, abs=1e-5)
    assert {name for name, _ in printed} <= {*exported.class_names}
    assert not {name for name, _ in printed} & {found["label"] for found in by_file}


def test_no_secret_is_in_the_file(exported):
    content = Path(exported.model).read_bytes()
    kek = json.loads((Path(exported.keystore) / "kek.json").read_text())["key"][0]["keyData"]["value"]
    wrapped = json.loads((Path(exported.keystore) / "patients.json").read_text())["encryptedKeyset"]
    assert kek.encode() not in content
    assert wrapped.encode() not in content
    assert b"disc" not in content, "a hidden class name"


def test_what_is_refused(lpe, exported, tmp_path):
    other = str(tmp_path / "other")
    KeyStore(other).create("patients")
    keystore = ("--keystore", exported.keystore)
    model = ("--model", exported.model)
    for words, code, said in [
        (keystore, 2, "name one model: --run DIR, or --model FILE of lpe export or lpe train --release"),
        (("--run", exported.run, *model, *keystore), 2, "name one model"),
        (model, 2, "pass --keystore"),
        (("--model", exported.run, *keystore), 1, "--run a run's directory"),
        (("--model", exported.photos[0], *keystore), 1, "no ONNX model"),
        ((*model, "--keystore", other), 1, "another key"),
    ]:
        outcome = lpe("predict", *words, exported.photos[0])
        assert (outcome.code, outcome.err.count("\n"), outcome.out) == (code, 1, ""), outcome
        assert said in outcome.err
