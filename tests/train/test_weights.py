"""Weights from `.keras` files: all of an honest one, nothing else of a hostile one."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from lpe.train import backend, models
from lpe.train.predict import predict
from lpe.train.runs import load_run
from lpe.transforms.errors import DataError
from tests.fuzz.trial import check_line, limits
from tests.train.datasets import ENCRYPTION, toy_images

WEIGHTS = "model.weights.h5"


@pytest.fixture
def run(spec, tmp_path):
    """A copy of a finished run that a test may change."""
    shutil.copytree(spec.output, tmp_path / "run")
    return tmp_path / "run"


def entries(run):
    """The files in a run's `.keras` archive."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def put(run, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(run / "model.keras", "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def refused(run):
    """What is said of a run's model file."""
    before = set(run.parent.rglob("*"))
    with (
        limits(memory=2 << 30),
        pytest.raises(DataError, match=r"model\.keras: (damaged|missing).*train again") as caught,
    ):
        predict(load_run(str(run)), toy_images(2, 0)[0])
    assert set(run.parent.rglob("*")) == before
    check_line(str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "front_end", "precision"),
    [
        ("cnn", "none", "float32"),
        ("cnn", "dechain+embedding", "mixed_float16"),
        ("cnn", "bit-planes+adaptation", "float32"),
        ("resnet18", "affine", "mixed_bfloat16"),
        ("pyramidnet-8-12", "adaptation-shared", "float32"),
    ],
)
def test_a_network_is_what_keras_would_load(run, name, front_end, precision):
    with backend.precision_of(precision):
        model = models.build(name, (16, 16, 3), 3, front_end, ENCRYPTION)
    model.set_weights([w + w.dtype.type(0.01) if w.dtype.kind == "f" else w for w in model.get_weights()])
    model.save(run / "model.keras")
    record = json.loads((run / "run.json").read_text())
    record["spec"] |= {"front_end": front_end, "precision": precision}
    (run / "run.json").write_text(json.dumps({**record, "model": name, "encryption": ENCRYPTION}))
    images = toy_images(5, 0)[0]
    theirs = keras.models.load_model(run / "model.keras", compile=False).predict(images, verbose=0)
    # A few images are answered operation by operation, which rounds otherwise than a traced function.
    np.testing.assert_allclose(predict(load_run(str(run)), images), theirs, rtol=1e-3, atol=1e-5)
    assert keras.config.dtype_policy().name == "float32"


@pytest.fixture
def unsafe():
    """Keras as careless as it can be set to be."""
    keras.config.enable_unsafe_deserialization()
    yield
    global_state.set_global_attribute("safe_mode_saving", None)


def hostile_archive(path, victim):
    """A network with a Lambda layer, which carries Python's bytecode, that makes a file."""
    image = keras.Input((16, 16, 3), dtype="uint8")
    layer = keras.layers.Lambda(eval(f"lambda x: __import__('pathlib').Path({str(victim)!r}).touch() or x"))
    keras.Model(image, layer(image)).save(path)
    victim.unlink()  # made when the layer was called here


@pytest.mark.usefixtures("unsafe")
def test_code_in_a_model_file_is_not_run(spec, run, tmp_path):
    victim = tmp_path / "victim"
    honest = entries(run)
    hostile_archive(run / "model.keras", victim)
    keras.models.load_model(run / "model.keras", compile=False)
    assert victim.exists()
    victim.unlink()
    refused(run)
    # With the run's own weights, what the archive says of the network is passed over.
    put(run, {**entries(run), WEIGHTS: honest[WEIGHTS]})
    images = toy_images(2, 0)[0]
    assert np.array_equal(predict(load_run(str(run)), images), predict(load_run(spec.output), images))
    assert not victim.exists()


@pytest.mark.parametrize(
    "config",
    [
        {"module": "os", "class_name": "system", "config": "touch VICTIM", "registered_name": "system"},
        {
            "module": "builtins",
            "class_name": "eval",
            "config": "open('VICTIM', 'w')",
            "registered_name": "eval",
        },
        {
            "module": "keras.utils",
            "class_name": "get_file",
            "config": {"fname": "VICTIM", "origin": "file:///etc/passwd"},
        },
        {"class_name": "function", "module": "builtins", "config": "print", "registered_name": "function"},
        {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
    ],
)
def test_what_an_archive_says_of_the_network_is_not_read(spec, run, tmp_path, config):
    victim = tmp_path / "victim"
    text = json.dumps(config).replace("VICTIM", str(victim))
    put(run, {**entries(run), "config.json": text, "../escaped": "x", "assets/../../escaped": "x"})
    images = toy_images(2, 0)[0]
    assert np.array_equal(predict(load_run(str(run)), images), predict(load_run(spec.output), images))
    assert not victim.exists()
    assert not list(tmp_path.rglob("escaped"))


def test_an_archive_that_is_none_is_refused(run):
    honest = entries(run)
    assert "missing" in (Path(run, "model.keras").unlink() or refused(run))
    for content in (b"", b"torn", honest[WEIGHTS]):
        (run / "model.keras").write_bytes(content)
        refused(run)
    put(run, {name: content for name, content in honest.items() if name != WEIGHTS})
    refused(run)


def test_a_zip_bomb_is_refused(run):
    put(run, {**entries(run), WEIGHTS: bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    assert "larger than" in refused(run)
    put(run, {**entries(run), WEIGHTS: bytes(1 << 20)}, zipfile.ZIP_BZIP2)
    assert "compressed in a way" in refused(run)
    with (run / "model.keras").open("ab") as file:
        file.truncate(1 << 40)
    assert "larger than" in refused(run)


def hostile_weights(run, change):
    """Has a function change the HDF5 file of a run's weights."""
    files = entries(run)
    buffer = io.BytesIO(files[WEIGHTS])
    with h5py.File(buffer, "r+") as file:
        change(file)
    put(run, {**files, WEIGHTS: buffer.getvalue()})


def first_array(file):
    found = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found[0]


def replaced(**options):
    """A change that puts another array in the place of the first."""

    def change(file):
        old = first_array(file)
        parent, name = old.parent, old.name.rpartition("/")[2]
        del parent[name]
        parent.create_dataset(name, **options)

    return change


def links_outside(file):
    old = first_array(file)
    parent, name = old.parent, old.name.rpartition("/")[2]
    del parent[name]
    parent[name] = h5py.ExternalLink("/etc/passwd", "/")


def loops(file):
    file["again"] = file["/"]


def external(file):
    old = first_array(file)
    parent, name, shape = old.parent, old.name.rpartition("/")[2], old.shape
    del parent[name]
    parent.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (links_outside, "a link"),
        (loops, "more than"),
        (external, "one piece"),
        (replaced(shape=(1 << 40,), dtype="f4", chunks=(1 << 10,)), "one piece"),
        (replaced(shape=(1 << 20,), dtype="f4", chunks=True, compression="gzip"), "one piece"),
        (replaced(shape=(1 << 40,), dtype="f4"), "more than"),
        (replaced(data=["text"]), "arrays of numbers"),
        (replaced(data=np.zeros(3, np.float32)), "no weights of this network"),
    ],
    ids=["link", "loop", "external", "chunks", "compressed", "huge", "text", "shape"],
)
def test_weights_that_keras_does_not_write_are_refused(run, change, reason):
    hostile_weights(run, change)
    assert reason in refused(run)


def test_a_run_that_claims_a_huge_network_is_refused(run):
    record = json.loads((run / "run.json").read_text())
    for change in (
        {"model": "pyramidnet-99998-100000000"},
        {"model": "pyramidnet-302-4000"},
        {"image_shape": [8000, 8000, 3], "spec": {**record["spec"], "front_end": "embedding"}},
        {"image_shape": [60_000, 60_000, 3]},
    ):
        (run / "run.json").write_text(json.dumps({**record, **change}))
        with limits(), pytest.raises(DataError, match=r"run\.json: .*damaged"):
            load_run(str(run)).load_model()
