"""The key-free front ends: what each computes, and that a network with it survives saving."""

import numpy as np
import pytest

from lpe.train import backend, front_ends, models
from lpe.train.front_ends.tables import brightness_tables
from lpe.transforms import ciphers
from lpe.transforms.errors import UsageError
from tests.train.datasets import ENCRYPTION

keras = backend.load()
NAMES = [name for name in front_ends.names() if name != "none"]
SHAPE = (12, 12, 3)


def photographs(count, seed):
    """Smooth random images, as far as statistics go like photographs: uint8 [count, *SHAPE]."""
    random = np.random.default_rng(seed)
    coarse = random.normal(128, 60, (count, 3, 3, 1)) + random.normal(0, 20, (count, 3, 3, 3))
    fine = coarse.repeat(6, axis=1).repeat(6, axis=2)
    smooth = sum(fine[:, y : y + 12, x : x + 12] for y in range(6) for x in range(6)) / 36
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def encrypted(name, images, key=1):
    cipher = ciphers.create(name, secret=bytes([key]) * 32, image_shape=images.shape[1:])
    return cipher.encrypt(images), {"cipher": name, "params": dict(cipher.params)}


def output_of(front_end, images, encryption=None):
    """What a front end makes of images, before and after it was adapted to them."""
    image = keras.Input(images.shape[1:], dtype="uint8")
    model = keras.Model(image, front_ends.apply(front_end, image, encryption))
    before = np.asarray(model.predict(images, verbose=0))
    front_ends.adapt(model, images)
    return before, np.asarray(model.predict(images, verbose=0))


def likeness(values, images):
    """The correlation, mean over all places; whether all values are negative is left open."""
    a = values.reshape(len(values), -1) - values.reshape(len(values), -1).mean(axis=0)
    b = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0, dtype=np.float64)
    return abs(float(((a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))).mean()))


@pytest.mark.parametrize("chain", ["raster", "row"])
def test_dechain_undoes_the_chain(chain):
    images = photographs(5, 0)
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=SHAPE, chain=chain)
    _, found = output_of("dechain", cipher.encrypt(images), {"cipher": "lpe-100", "params": {"chain": chain}})
    values = np.round((found + 1) * 127.5)
    # Half of the positions are not substituted, and all lowest bits are right (attacks.md, 4).
    assert ((values == images).mean(axis=(0, 3)) == 1).mean() > 0.35
    assert (values % 2 == images % 2).all()


def test_dechain_keeps_the_ciphertext_where_it_is_needed():
    cipher, encryption = encrypted("lpe-50", photographs(3, 0))
    _, found = output_of("dechain", cipher, encryption)
    assert found.shape == (3, 12, 12, 6)
    assert (np.round((found[..., :3] + 1) * 127.5) == cipher).all()


def test_bit_planes_are_the_bits():
    images = np.array([0, 1, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    _, found = output_of("bit-planes", images)
    assert found.reshape(4, 8)[1].tolist() == [1] + [-1] * 7
    assert found.reshape(4, 8)[2].tolist() == [-1] * 7 + [1]
    assert found.reshape(4, 8)[[0, 3]].tolist() == [[-1] * 8, [1] * 8]


@pytest.mark.parametrize("name", ["affine", "embedding"])
def test_at_the_start_it_is_the_byte(name):
    images = photographs(4, 0)
    before, _ = output_of(name, images)
    assert before == pytest.approx(images / 127.5 - 1, abs=1e-5)


def test_affine_can_undo_any_xor():
    images = photographs(4, 0)
    key = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)
    image = keras.Input(SHAPE, dtype="uint8")
    model = keras.Model(image, front_ends.apply("affine", image, None))
    signs = 1.0 - 2 * ((key[..., None] >> np.arange(8)) & 1)
    model.layers[-1].signs.assign(signs * 2.0 ** np.arange(8) / 255)
    assert model.predict(images ^ key, verbose=0) == pytest.approx(images / 127.5 - 1, abs=1e-5)


@pytest.mark.parametrize(
    ("cipher", "front_end"),
    [
        ("pbe", "embedding"),
        ("cpbe-100", "embedding"),
        ("lpe-100", "dechain+embedding"),
        ("lpe-50", "dechain+embedding"),
    ],
)
def test_ciphertexts_alone_tell_the_embedding_what_bytes_stand_for(cipher, front_end):
    images = photographs(8000, 0)
    ciphertexts, encryption = encrypted(cipher, images)
    before, after = output_of(front_end, ciphertexts, encryption)
    assert after.shape == images.shape
    assert abs(after).max() <= 1
    assert likeness(before[..., -3:], images) < 0.6
    assert likeness(after, images) > 0.72


def test_two_keys_give_the_same_values():
    images = photographs(4000, 0)
    found = []
    for key in (1, 2):
        ciphertexts, _ = encrypted("cpbe-100", images, key)
        chosen, tables = brightness_tables(ciphertexts[..., None])
        assert (chosen == 0).all()
        places = np.arange(tables.shape[0])
        found.append(tables[places, ciphertexts.reshape(len(images), -1)])
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.9


def test_noise_is_left_alone_in_peace():
    noise = np.random.default_rng(0).integers(0, 256, (500, 6, 6, 1), np.uint8)
    _, tables = brightness_tables(noise[..., None])
    assert np.isfinite(tables).all()


COMPOSED = ["bit-planes+adaptation", "dechain+bit-planes"]


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


def test_the_adaptation_network_is_as_published():
    images = photographs(8, 0)
    image = keras.Input(SHAPE, dtype="uint8")
    features = front_ends.apply("adaptation", image, None)
    assert features.shape == (None, 12, 12, 16)
    model = keras.Model(image, features)
    layer = model.layers[-1]
    for _ in range(60):
        model(images, training=True)
    # Spectral normalisation, after enough steps of its power iteration.
    kernels = keras.ops.convert_to_numpy(layer._normalised(False))
    largest = [np.linalg.svd(kernel, compute_uv=False)[0] for kernel in kernels]
    assert largest == pytest.approx([1] * 9, abs=0.05)
    # The regulariser is 0 for permutations alone; at the start the permutation is one.
    assert float(layer._permutation_loss()) == pytest.approx(0, abs=1e-6)
    layer.permutation.assign(np.full((9, 9), 1 / 9))
    assert float(layer._permutation_loss()) > 1e-5
    assert len(layer.losses) > 0


def test_adaptation_needs_whole_blocks():
    with pytest.raises(UsageError, match="multiples of 4, not 9×12"):
        models.build("cnn", (9, 12, 3), 3, "adaptation")
