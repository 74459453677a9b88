"""A dataset's cipher: the PRF contexts that its key material comes from, and which images share it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lpe.transforms import ciphers
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import CipherError, UsageError
from lpe.transforms.keyed import CipherSpec, KeyedCipher


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
        ({"name": "le", "salt": "a", "scope": "pixel"}, UsageError, "unknown key scope 'pixel'"),
    ],
)
def test_bad_specs_are_refused(spec, error, message):
    with pytest.raises(error, match=message.replace("|", r"\|")):
        CipherSpec(**spec)


def test_parameters_left_out_take_their_defaults():
    assert CipherSpec("lpe-50", salt="a").params == {"chain": "raster", "channels": "shared"}
