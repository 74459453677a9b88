"""Every scheme: known answers, the literal reference, inverse, independence, refusals."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.transforms import reference
from transforms import ciphers
from transforms.ciphers import lpe

LPE = [(n, c, p) for n in ("lpe-50", "lpe-100") for c in ("raster", "row") for p in ("shared", "independent")]

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
secrets = st.binary(min_size=32, max_size=32)


def batches(shape: tuple[int, int, int]) -> st.SearchStrategy[np.ndarray]:
    return st.integers(1, 4).flatmap(lambda n: hnp.arrays(np.uint8, (n, *shape)))


def lpe_key(secret: bytes, shape: tuple[int, int, int], channels: str = "shared") -> lpe.Key:
    return lpe.Lpe.derive_keys([secret], shape, {"chain": "raster", "channels": channels})[0]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(ciphers.names()), shapes, secrets)
def test_decrypt_inverts_encrypt_for_any_shape_key_and_parameters(data, name, shape, secret):
    params = {k: data.draw(st.sampled_from(v)) for k, v in ciphers.scheme(name).default_params().items()}
    images = data.draw(batches(shape))
    cipher = ciphers.create(name, secret=secret, image_shape=shape, **params)
    assert np.array_equal(cipher.decrypt(cipher.encrypt(images)), images)
    assert np.array_equal(cipher.encrypt(cipher.decrypt(images)), images)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(LPE), shapes, secrets)
def test_lpe_equals_the_formulas(data, variant, shape, secret):
    name, chain, channels = variant
    key = lpe_key(secret, shape, channels)
    images = data.draw(batches(shape))
    cipher = ciphers.create(name, key=key, image_shape=shape, chain=chain, channels=channels)
    expected = [reference.lpe(name, key, image, chain, channels) for image in images]
    assert np.array_equal(cipher.encrypt(images), np.stack(expected))


def test_lpe_by_hand():
    # mu = 4, d0 = 0.3: d1 = 4·0.3·0.7 = 0.84, d2 = 0.5376, ...; s from equation 3.
    key = lpe.Key(4.0, 0.3, np.array([1, 0, 1, 1], np.uint8))
    s = reference.keystream(4.0, 0.3, 4)
    p = [10, 20, 30, 255]
    c0 = s[0] ^ ((10 + s[0]) % 256)
    c1 = 20 ^ c0
    c2 = s[2] ^ ((30 + s[2]) % 256) ^ c1
    c3 = s[3] ^ ((255 + s[3]) % 256) ^ c2
    cipher = ciphers.create("lpe-100", key=key, image_shape=(2, 2, 1))
    assert cipher.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, c1, c2, c3]
    half = ciphers.create("lpe-50", key=key, image_shape=(2, 2, 1))
    h2 = s[2] ^ ((30 + s[2]) % 256) ^ 20
    h3 = s[3] ^ ((255 + s[3]) % 256) ^ h2
    assert half.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, 20, h2, h3]
    rows = ciphers.create("lpe-100", key=key, image_shape=(2, 2, 1), chain="row")
    r2 = s[2] ^ ((30 + s[2]) % 256)
    r3 = s[3] ^ ((255 + s[3]) % 256) ^ r2
    assert rows.encrypt(np.array(p, np.uint8).reshape(1, 2, 2, 1)).ravel().tolist() == [c0, c1, r2, r3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "000102030405060708090a0b0c0d0e0f"),
        ("lpe-100", "0001030004011b1c141d171c10050b04"),
        ("lpe-50", "000103030702180708090a0b0c190e0f"),
    ],
)
def test_golden_ciphertexts(name, expected):
    """Pins derivation and cipher: another implementation must give the same bytes."""
    cipher = ciphers.create(name, secret=bytes(range(32)), image_shape=(4, 4, 1))
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    assert cipher.encrypt(image).tobytes().hex() == expected


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ciphers.names()), secrets, st.integers(0, 2**32 - 1))
def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(name, secret, seed):
    shape = (8, 8, 3)
    images = np.random.default_rng(seed).integers(0, 256, (7, *shape), dtype=np.uint8)
    cipher = ciphers.create(name, secret=secret, image_shape=shape)
    alone = np.concatenate([cipher.encrypt(images[i : i + 1]) for i in range(len(images))])
    assert np.array_equal(cipher.encrypt(images), alone)


@pytest.mark.parametrize("name", [name for name in ciphers.names() if name != "plain"])
def test_one_secret_per_image_equals_that_secret_alone(name):
    shape = (8, 12, 3)
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    each = [bytes([i]) * 32 for i in range(5)]
    together = ciphers.create(name, secrets=each, image_shape=shape)
    encrypted = together.encrypt(images)
    for i, secret in enumerate(each):
        alone = ciphers.create(name, secret=secret, image_shape=shape)
        assert np.array_equal(encrypted[i], alone.encrypt(images[i : i + 1])[0])
    assert np.array_equal(together.decrypt(encrypted), images)
    assert len({image.tobytes() for image in together.encrypt(np.repeat(images[:1], 5, axis=0))}) == 5


def test_more_images_than_fit_in_one_piece_of_work():
    shape = (32, 32, 3)
    images = np.random.default_rng(1).integers(0, 256, (700, *shape), dtype=np.uint8)
    each = ciphers.create("lpe-50", secrets=[i.to_bytes(32, "big") for i in range(700)], image_shape=shape)
    assert np.array_equal(each.decrypt(each.encrypt(images)), images)
    assert np.array_equal(
        each.encrypt(images)[650],
        ciphers.create("lpe-50", secret=(650).to_bytes(32, "big"), image_shape=shape).encrypt(
            images[650:651]
        )[0],
    )


def test_input_is_left_alone_and_may_be_a_strided_view():
    wide = np.random.default_rng(2).integers(0, 256, (6, 80), dtype=np.uint8)
    images = wide[:, 5:53].reshape(6, 4, 4, 3)
    before = images.copy()
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3))
    assert np.array_equal(cipher.encrypt(images), cipher.encrypt(before))
    assert np.array_equal(images, before)


def test_empty_batch():
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3))
    assert cipher.encrypt(np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 4, 4, 3)


def test_a_keystream_in_a_period_three_window_is_refused():
    k = np.ones(1024, np.uint8)
    with pytest.raises(ciphers.CipherError, match="cycle"):
        ciphers.create("lpe-100", key=lpe.Key(3.83, 0.4, k), image_shape=(32, 32, 1))
    # 0.5 goes to 1, then to 0 for ever.
    with pytest.raises(ciphers.CipherError, match="cycle"):
        ciphers.create("lpe-100", key=lpe.Key(4.0, 0.5, k), image_shape=(32, 32, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ciphers.create("rot13", secret=bytes(32), image_shape=(4, 4, 3)), "unknown cipher 'rot13'"),
        (lambda: ciphers.create("lpe-100", secret=bytes(31), image_shape=(4, 4, 3)), "32 bytes"),
        (lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(0, 4, 3)), "at least 1"),
        (
            lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3), chain="zigzag"),
            "raster or row",
        ),
        (
            lambda: ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3), speed="fast"),
            "no parameter",
        ),
        (lambda: ciphers.create("lpe-100", image_shape=(4, 4, 3)), "exactly one"),
        (
            lambda: ciphers.create("lpe-100", key=lpe.Key(3.0, 0.4, np.ones(16)), image_shape=(4, 4, 1)),
            "mu in",
        ),
        (
            lambda: ciphers.create("lpe-100", key=lpe.Key(4.0, 0.3, np.ones(15)), image_shape=(4, 4, 1)),
            "16 values",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ciphers.CipherError, match=message):
        call()


def test_other_images_than_the_cipher_is_for_are_refused():
    cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(4, 4, 3))
    with pytest.raises(ciphers.CipherError, match=r"shape \(4, 4, 3\)"):
        cipher.encrypt(np.zeros((1, 4, 5, 3), np.uint8))
    with pytest.raises(ciphers.CipherError, match="float32"):
        cipher.encrypt(np.zeros((1, 4, 4, 3), np.float32))
    each = ciphers.create("lpe-100", secrets=[bytes(32)] * 2, image_shape=(4, 4, 3))
    with pytest.raises(ciphers.CipherError, match="keys for 2 images, got 3"):
        each.encrypt(np.zeros((3, 4, 4, 3), np.uint8))


def test_ciphers_and_keys_refuse_to_be_pickled_and_show_nothing():
    key = lpe_key(bytes(32), (4, 4, 3))
    cipher = ciphers.create("lpe-100", key=key, image_shape=(4, 4, 3))
    for thing in (cipher, key):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(thing)
    assert str(key.mu) not in repr(cipher) + repr(key)
    assert str(key.d0) not in repr(cipher) + repr(key)


def test_ciphers_need_numpy_alone():
    code = (
        "import sys; import transforms.ciphers; "
        "ours = {m.split('.')[0] for m in sys.modules}; "
        "print(sorted(ours & {'apache_beam', 'tensorflow', 'tink', 'PIL', 'pyarrow', 'pipeline', 'google'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
