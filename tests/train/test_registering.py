"""Models that leave: `keras.models.load_model` reads them in a process that knows no more than `import lpe.train`."""

import shutil

import numpy as np
import pytest

from lpe.train import front_ends, models
from lpe.train.predict import predict
from lpe.train.runs import load_run
from tests.train.datasets import ENCRYPTION, toy_images
from tests.train.running import run_python

FRONT_ENDS = [*front_ends.names(), "dechain+embedding", "bit-planes+adaptation"]

LOADING = """
import sys
import numpy as np
{imports}
images = np.load(f"{{sys.argv[1]}}/images.npy")
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{{sys.argv[1]}}/{{name}}.keras")
    expected = np.load(f"{{sys.argv[1]}}/{{name}}.npy")
    np.testing.assert_allclose(model(images), expected, atol=1e-5, err_msg=name)
    assert not model.compiled or float(model.optimizer.learning_rate) >= 0
print(keras.config.backend())
"""
# Keras says what it misses without the import, which may come late.
LATE = """
import keras
try:
    keras.models.load_model(f"{sys.argv[1]}/dechain.keras")
except TypeError as error:
    assert "lpe.train>Dechain" in str(error)
else:
    raise AssertionError("loaded without lpe.train")
import lpe.train
"""


@pytest.fixture(scope="module")
def saved(spec, tmp_path_factory):
    """A directory with a network for each front end, that of a run, images, and what each network says of them."""
    place = tmp_path_factory.mktemp("models")
    images = toy_images(4, 0)[0]
    np.save(place / "images.npy", images)
    for name in FRONT_ENDS:
        model = models.build("cnn", images.shape[1:], 3, name, ENCRYPTION)
        front_ends.adapt(model, images)
        model.save(place / f"{name}.keras")
        np.save(place / f"{name}.npy", np.asarray(model(images)))
    run = load_run(spec.output)
    shutil.copy(run.model_path, place / "run.keras")
    np.save(place / "run.npy", predict(run, images))
    return str(place)


def test_keras_loads_models_after_importing_lpe_train(saved):
    program = LOADING.format(imports="import lpe.train, keras")
    names = [*FRONT_ENDS, "run"]
    assert run_python(program, saved, *names, KERAS_BACKEND="tensorflow") == "tensorflow"


def test_keras_may_be_imported_first_and_compute_with_jax(saved):
    program = LOADING.format(imports=LATE)
    assert run_python(program, saved, "dechain+embedding", KERAS_BACKEND="jax") == "jax"


def test_the_import_alone_loads_no_keras():
    assert run_python("import sys, lpe.train; print({'keras', 'numpy'} & {*sys.modules})") == "set()"
