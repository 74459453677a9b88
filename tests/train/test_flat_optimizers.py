"""Optimisers that update all weights as one vector, beside Keras's own."""

import keras
import numpy as np
import pytest

from lpe.train import flat_optimizers

DECAY = 0.1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (flat_optimizers.AdamW, lambda rate: keras.optimizers.AdamW(rate, weight_decay=DECAY)),
        (
            flat_optimizers.SGD,
            lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=DECAY),
        ),
    ],
)
def test_weights_become_what_keras_makes_of_them(ours, theirs):
    random = np.random.default_rng(0)
    shapes = [(3, 3, 2), (5,), ()]
    steps = [[random.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(4)]
    found = []
    for optimizer in (ours(0.05, decay=DECAY), theirs(0.05)):
        variables = [keras.Variable(np.full(shape, 0.5, np.float32)) for shape in shapes]
        optimizer.build(variables)
        for gradients in steps:
            optimizer.apply([keras.ops.array(gradient) for gradient in gradients], variables)
        found.append([np.asarray(variable) for variable in variables])
    for mine, keras_own in zip(*found, strict=True):
        np.testing.assert_allclose(mine, keras_own, rtol=1e-5)


def test_an_optimiser_is_made_again_from_its_settings():
    made = flat_optimizers.AdamW.from_config(flat_optimizers.AdamW(0.05, decay=DECAY).get_config())
    assert made.get_config()["decay"] == DECAY
