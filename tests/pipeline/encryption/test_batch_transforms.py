"""Batch transforms: inverse to each other, pure, and picklable without a key in them."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from lpe.pipeline.encryption.batch_transforms import Decrypt, Encrypt, Identity
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests, new_encryption
from lpe.pipeline.keystore import KeyStore
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, KeyStoreError
from lpe.transforms.keyed import CipherSpec
from tests.secret_bytes import found, prf_keys

BATCH = ImageBatch(
    [f"train-{i:07d}" for i in range(6)],
    np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8),
    np.arange(6) % 3,
)


def encryption(keystore: str, scope: str, *, hide: bool, seal: bool) -> Encryption:
    key = KeyStore(keystore).open("patients")
    names = ("cat", "dog", "eel") if hide else None
    spec = CipherSpec("lpe-100", "5a" * 32, scope)
    return new_encryption(key, spec, names, (4, 4, 3) if seal else None, SourceDigests("d1", "d2"))


@pytest.mark.parametrize("scope", ["dataset", "image"])
@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("seal", [False, True])
def test_decrypt_undoes_encrypt_and_leaves_its_argument_alone(keystore, scope, hide, seal):
    described = encryption(keystore, scope, hide=hide, seal=seal)
    before = BATCH.images.copy()
    encrypted = Encrypt(keystore, described, 3).open()(BATCH)
    assert encrypted.ids == BATCH.ids
    assert encrypted.images.shape == ((6, 1, 1, 4 * 4 * 3 + 28) if seal else (6, 4, 4, 3))
    assert not np.array_equal(encrypted.images.ravel()[:288], BATCH.images.ravel())
    assert np.array_equal(BATCH.images, before)
    restored = Decrypt(keystore, described, 3).open()(encrypted)
    assert np.array_equal(restored.images, BATCH.images)
    assert np.array_equal(restored.labels, BATCH.labels)


def test_a_pickled_transform_holds_no_key(keystore):
    described = encryption(keystore, "dataset", hide=True, seal=True)
    secrets = list(prf_keys(keystore, "patients").values())
    for transform in (Encrypt(keystore, described, 3), Decrypt(keystore, described, 3), Identity()):
        assert not found(secrets, pickle.dumps(transform))
        assert pickle.loads(pickle.dumps(transform)) == transform


def test_another_key_is_refused_when_it_is_opened(keystore, tmp_path):
    described = encryption(keystore, "dataset", hide=False, seal=False)
    KeyStore(str(tmp_path / "other")).create("patients")
    with pytest.raises(KeyStoreError, match="another keyset of the same name"):
        Decrypt(str(tmp_path / "other"), described, 3).open()


def test_a_changed_sealed_image_does_not_open(keystore):
    described = encryption(keystore, "dataset", hide=False, seal=True)
    sealed = Encrypt(keystore, described, 3).open()(BATCH)
    decrypt = Decrypt(keystore, described, 3).open()
    changed = sealed.images.copy()
    changed[2, 0, 0, 20] ^= 1
    others = {
        "images": changed,
        "labels": np.where(np.arange(6) == 2, 0, sealed.labels),
        "ids": [*sealed.ids[:2], "train-0000009", *sealed.ids[3:]],
    }
    for field, value in others.items():
        with pytest.raises(DataError, match=r"sealed image train-000000[29] does not open"):
            decrypt(dataclasses.replace(sealed, **{field: value}))
