"""A dataset's cipher: the PRF contexts that its key material comes from, and which images share it."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import CipherError, UsageError
from lpe.transforms.keyed import CipherSpec, KeyedCipher

GOLDEN_INDEXES = [2, 1, 6, 6, 2, 3, 6, 4, 4, 1, 1, 4, 1, 5, 2, 4, 2, 6, 6, 2]
GOLDEN_DIGEST = "b66b026a9b089e7d79530a0057a0d5b7a8511b315fc5d3608aa26ebcadb48a20"


class HashPrf:
    """SHA-256 of the context, and a record of what was asked for."""

    def __init__(self) -> None:
        self.contexts: list[bytes] = []

    def compute(self, context: bytes, length: int) -> bytes:
        """Its first bytes."""
        self.contexts.append(context)
        return hashlib.sha256(context).digest()[:length]


def batch(count=3, shape=(4, 8, 3)):
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return ImageBatch([f"train-{i}" for i in range(count)], images, np.arange(count))


def test_the_context_names_all_that_is_public():
    spec = CipherSpec("lpe-100", salt="5a17", params={"chain": "row"})
    assert spec.context((32, 24, 3)) == b"lpe/v1|lpe-100|chain=row,channels=shared|5a17|32x24x3"
    assert spec.context((32, 24, 3), "train-1") == spec.context((32, 24, 3))
    each = CipherSpec("le", salt="5a17", scope="image")
    assert each.context((4, 4, 1), "train-1") == b"lpe/v1|le||5a17|4x4x1|train-1"
    with pytest.raises(ValueError, match="image id"):
        each.context((4, 4, 1))


def test_one_key_for_the_dataset_is_derived_once_a_shape():
    spec, prf, images = CipherSpec("lpe-100", salt="5a17"), HashPrf(), batch()
    keyed = KeyedCipher(spec, prf)
    made = keyed.encrypt(images)
    secret = hashlib.sha256(spec.context((4, 8, 3))).digest()
    expected = ciphers.create("lpe-100", secret=secret, image_shape=(4, 8, 3)).encrypt(images.images)
    assert np.array_equal(made.images, expected)
    assert made.ids == images.ids
    assert np.array_equal(keyed.decrypt(made).images, images.images)
    keyed.encrypt(batch(shape=(8, 4, 3)))
    assert prf.contexts == [spec.context((4, 8, 3)), spec.context((8, 4, 3))]


def test_a_key_per_image_follows_from_its_id_alone(monkeypatch):
    spec, images = CipherSpec("lpe-100", salt="5a17", scope="image"), batch(5)
    made = KeyedCipher(spec, HashPrf()).encrypt(images)
    for i, image_id in enumerate(images.ids):
        secret = hashlib.sha256(spec.context((4, 8, 3), image_id)).digest()
        cipher = ciphers.create("lpe-100", secret=secret, image_shape=(4, 8, 3))
        assert np.array_equal(made.images[i], cipher.encrypt(images.images[i : i + 1])[0])
    assert np.array_equal(KeyedCipher(spec, HashPrf()).decrypt(made).images, images.images)
    # Key material for two images at a time.
    monkeypatch.setattr("lpe.transforms.keyed._KEYED_BYTES", 2 * 4 * 8 * 3)
    assert np.array_equal(KeyedCipher(spec, HashPrf()).encrypt(images).images, made.images)


@pytest.mark.parametrize("scope", ["dataset", "image"])
def test_an_empty_batch_stays_empty(scope):
    assert len(KeyedCipher(CipherSpec("lpe-100", "5a17", scope), HashPrf()).encrypt(batch(0))) == 0


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"name": "rot13", "salt": "a"}, CipherError, "unknown cipher"),
        ({"name": "le", "salt": "a", "params": {"chain": "row"}}, CipherError, "no parameter 'chain'"),
        ({"name": "le", "salt": "a|b"}, UsageError, "without '|'"),
        ({"name": "le", "salt": ""}, UsageError, "non-empty"),
        (
            {"name": "pbe", "salt": "a", "scope": "image", "params": {"pool": "8"}},
            UsageError,
            "a pool of 8 keys is the dataset's",
        ),
        ({"name": "pbe", "salt": "a", "params": {"pool": "3"}}, CipherError, "pool must be 1 or 2 or 4"),
        ({"name": "le", "salt": "a", "scope": "pixel"}, UsageError, "unknown key scope 'pixel'"),
    ],
)
def test_bad_specs_are_refused(spec, error, message):
    with pytest.raises(error, match=message.replace("|", r"\|")):
        CipherSpec(**spec)


def test_one_key_is_what_pbe_had_before_there_were_pools():
    """Its parameters and its PRF context, which decide the bytes of a dataset."""
    for params in ({}, {"pool": "1"}):
        spec = CipherSpec("pbe", salt="5a17", params=params)
        assert spec.params == {"colour": "false"}
        assert spec.context((32, 24, 3)) == b"lpe/v1|pbe|colour=false|5a17|32x24x3"


def test_a_pool_of_keys_is_shared_out_by_ids():
    """Golden values: which key each image has, and its ciphertext."""
    spec, prf, images = CipherSpec("pbe", "5a17", params={"pool": "8"}), HashPrf(), batch(20)
    keyed = KeyedCipher(spec, prf)
    made = keyed.encrypt(images)
    indexes = []
    for i, image_id in enumerate(images.ids):
        value = hashlib.sha256(f"lpe/v2|pooled|5a17|{image_id}".encode()).digest()[:8]
        indexes.append(int.from_bytes(value, "big") % 8)
        context = f"lpe/v2|pool|pbe|colour=false,pool=8|5a17|4x8x3|{indexes[-1]}".encode()
        alone = ciphers.create("pbe", secret=hashlib.sha256(context).digest(), image_shape=(4, 8, 3))
        assert np.array_equal(made.images[i], alone.encrypt(images.images[i : i + 1])[0])
    assert indexes == GOLDEN_INDEXES
    assert hashlib.sha256(made.images.tobytes()).hexdigest() == GOLDEN_DIGEST
    assert len(prf.contexts) == 20 + len(set(indexes))  # each key is derived once
    # Whatever images an image is together with.
    few = ImageBatch(images.ids[::-3], made.images[::-3], images.labels[::-3])
    assert np.array_equal(KeyedCipher(spec, HashPrf()).decrypt(few).images, images.images[::-3])
    assert len(keyed.encrypt(batch(0))) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 999).map(str), unique=True, max_size=12),
    st.sampled_from(["2", "4", "8", "16"]),
    st.booleans(),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_what_a_pool_encrypts_it_decrypts(ids, pool, colour, height, width):
    spec = CipherSpec("pbe", "5a17", params={"pool": pool, "colour": str(colour).lower()})
    images = np.random.default_rng(len(ids)).integers(0, 256, (len(ids), height, width, 3), np.uint8)
    made = KeyedCipher(spec, HashPrf()).encrypt(ImageBatch(ids, images, np.zeros(len(ids), np.int64)))
    assert np.array_equal(KeyedCipher(spec, HashPrf()).decrypt(made).images, images)


@pytest.mark.parametrize("pool", [2, 16])
def test_each_key_of_a_pool_has_about_as_many_images_as_another(pool):
    """16,000 black images, whose ciphertexts are their keys: within five standard deviations."""
    spec, count = CipherSpec("pbe", "5a17", params={"pool": str(pool)}), 16_000
    black = ImageBatch(
        [f"train-{i:07}" for i in range(count)], np.zeros((count, 4, 8, 1), np.uint8), np.zeros(count)
    )
    _, images = np.unique(KeyedCipher(spec, HashPrf()).encrypt(black).images, axis=0, return_counts=True)
    assert len(images) == pool
    assert np.abs(images - count / pool).max() < 5 * np.sqrt(count / pool)


def test_a_keyed_pool_is_not_pickled_but_its_spec_is():
    spec = CipherSpec("pbe", "5a17", params={"pool": "8"})
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(KeyedCipher(spec, HashPrf()))


def test_parameters_left_out_take_their_defaults():
    assert CipherSpec("lpe-50", salt="a").params == {"chain": "raster", "channels": "shared"}
