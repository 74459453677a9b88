"""PyramidNet: any size learns, and what ShakeDrop does."""

import keras
import numpy as np
import pytest

from lpe.train import models
from lpe.train.models.pyramidnet import ShakeDrop
from lpe.transforms.errors import UsageError


def test_any_size_of_pyramidnet_learns(tmp_path):
    keras.utils.set_random_seed(0)
    model = models.build("pyramidnet-8-12", (8, 8, 3), 2)
    images = np.random.default_rng(0).integers(0, 100, (64, 8, 8, 3), np.uint8)
    labels = np.arange(64) % 2
    images[labels == 1] += 100
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, 0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(images, labels, batch_size=16, epochs=12, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] > 0.9
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.predict(images, verbose=0) == pytest.approx(model.predict(images, verbose=0), abs=1e-5)


@pytest.mark.parametrize("name", ["pyramidnet-9-12", "pyramidnet-2-12"])
def test_impossible_depths_are_refused(name):
    with pytest.raises(UsageError, match=r"depth must be 6 n \+ 2"):
        models.build(name, (32, 32, 3), 10)


def test_shakedrop_disturbs_training_alone():
    x = np.ones((6, 2, 2, 1), np.float32)
    layer = ShakeDrop(0.4)
    assert np.asarray(layer(x)) == pytest.approx(x * 0.6)
    factors = [np.asarray(layer(x, training=True))[:, 0, 0, 0] for _ in range(200)]
    kept = [np.allclose(factor, 1) for factor in factors]
    assert 0.45 < np.mean(kept) < 0.75
    dropped = np.concatenate([factor for factor, whole in zip(factors, kept, strict=True) if not whole])
    assert -1 <= dropped.min() < -0.8
    assert 0.8 < dropped.max() <= 1
    assert abs(dropped.mean()) < 0.15
