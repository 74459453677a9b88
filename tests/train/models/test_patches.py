"""Networks that see images by patches: of the blocks' size, whatever order and signs blocks of a dataset share."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from lpe.train import front_ends, models
from lpe.train.models import patches
from lpe.train.models.vit import Positions
from lpe.transforms import ciphers
from lpe.transforms.ciphers.vit_block import VitBlock
from lpe.transforms.errors import UsageError

NETWORKS = ("vit", "convmixer")
SHAPE = (16, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), np.uint8)


def encrypted_by(block):
    return {"cipher": "vit-block", "params": {"block": str(block)}}


@pytest.mark.parametrize(
    ("shape", "encryption", "side"),
    [
        ((32, 64, 3), None, 4),
        ((32, 68, 3), None, 16),
        ((32, 32, 3), encrypted_by(8), 8),
        ((32, 32, 3), {"cipher": "lpe-100", "params": {"chain": "row"}}, 4),
    ],
)
def test_patches_are_the_ciphers_blocks(shape, encryption, side):
    assert patches.side(shape, encryption) == side


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_them(name):
    model = models.build(name, (16, 32, 1), 4, encryption=encrypted_by(8))
    assert (
        next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense)).kernel.shape[0] == 64
    )
    probabilities = np.asarray(model(np.zeros((2, 16, 32, 1), np.uint8)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "encryption", "message"),
    [
        (
            "vit",
            (30, 32, 3),
            None,
            r"^model vit needs images whose sides are multiples of its patches' 4, and more than one patch, not \(30",
        ),
        ("convmixer", (4, 4, 3), None, "more than one patch"),
        ("convmixer", (32, 36, 3), encrypted_by(8), "multiples of its patches' 8"),
        ("vit", (224, 224, 3), encrypted_by(4), "have 3136 of 4×4; use convmixer, or larger blocks"),
        *((name, (32, 32, 3), encrypted_by(block), "1 to 64") for name in NETWORKS for block in (0, "x")),
    ],
)
def test_what_has_no_patches_is_refused(name, shape, encryption, message):
    with pytest.raises(UsageError, match=message):
        models.build(name, shape, 4, encryption=encryption)


def test_a_scrambling_that_all_blocks_share_costs_a_transformer_nothing():
    """What it computes of an image, it computes of the ciphertext with other weights, which are as likely at first."""
    params = ciphers.resolve_params("vit-block", {})
    (key,) = VitBlock.derive_keys([bytes(range(32))], SHAPE, params)
    cipher = ciphers.create("vit-block", key=key, image_shape=SHAPE)
    model = models.build("vit", SHAPE, 4)
    expected = np.asarray(model(IMAGES))
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert not np.allclose(model(cipher.encrypt(IMAGES)), expected, atol=1e-4)
    embed = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    embed.kernel.assign(np.asarray(embed.kernel)[key.orders[0]] * (1 - 2.0 * key.negatives[0])[:, None])
    places = next(layer for layer in model.layers if isinstance(layer, Positions)).places
    places.assign(np.asarray(places)[key.blocks])
    np.testing.assert_allclose(model(cipher.encrypt(IMAGES)), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "precision"), [("vit", "mixed_bfloat16"), ("convmixer", "float32")])
def test_a_step_makes_the_loss_smaller(name, precision):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(0)
        model = models.build(name, SHAPE, 4)
        model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy", run_eagerly=True)
        losses = [float(model.train_on_batch(IMAGES, np.arange(4))) for _ in range(3)]
    finally:
        keras.config.set_dtype_policy(policy)
    assert losses[-1] < losses[0]


def test_a_pool_of_keys_has_no_front_end():
    one = {"cipher": "pbe", "params": {"colour": "false"}}
    assert front_ends.resolve("auto", one) == "embedding"
    assert front_ends.resolve("auto", {**one, "params": {**one["params"], "pool": "8"}}) == "none"
