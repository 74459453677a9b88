"""Front ends by name: where they start, and that a network with one survives saving."""

import keras
import numpy as np
import pytest

from lpe.train import front_ends, models
from tests.train.datasets import ENCRYPTION
from tests.train.front_ends.images import SHAPE, output_of, photographs

NAMES = [name for name in front_ends.names() if name != "none"]
COMPOSED = ["bit-planes+adaptation", "dechain+bit-planes"]


@pytest.mark.parametrize("name", ["affine", "embedding"])
def test_at_the_start_it_is_the_byte(name):
    images = photographs(4, 0)
    before, _ = output_of(name, images)
    assert before == pytest.approx(images / 127.5 - 1, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    ["dechain+embedding", *(pytest.param(name, marks=pytest.mark.slow) for name in [*NAMES, *COMPOSED])],
)
def test_a_network_with_it_survives_saving(name, tmp_path):
    images = photographs(40, 0)
    model = models.build("cnn", SHAPE, 3, name, ENCRYPTION)
    front_ends.adapt(model, images)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.fit(images, np.arange(40) % 3, batch_size=20, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.predict(images, verbose=0) == pytest.approx(model.predict(images, verbose=0), abs=1e-5)
