"""An opened key: what is computed from it, and that it is shown to nobody."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lpe.pipeline.keystore import KeyStore
from lpe.transforms.errors import KeyStoreError
from tests.secret_bytes import prf_keys


def test_the_prf_is_hkdf_sha256_so_that_users_are_not_locked_in(keystore):
    ((key_id, secret),) = prf_keys(keystore, "patients").items()
    derived = HKDF(hashes.SHA256(), 48, salt=None, info=b"context").derive(secret)
    assert KeyStore(keystore).open("patients", key_id).compute(b"context", 48) == derived


def test_a_key_does_not_pickle_or_print(keystore):
    key = KeyStore(keystore).open("patients")
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps(key)
    secret = next(iter(prf_keys(keystore, "patients").values()))
    assert secret.hex() not in repr(key)
    assert repr(secret) not in repr(key)


def test_check_values_tell_keys_apart(keystore):
    store = KeyStore(keystore)
    old = store.open("patients")
    store.rotate("patients")
    new = store.open("patients")
    old.verify("ab", old.check_value("ab"))
    with pytest.raises(KeyStoreError, match="another keyset of the same name"):
        new.verify("ab", old.check_value("ab"))


def test_label_order_is_a_permutation_and_hiding_is_authenticated(keystore):
    key = KeyStore(keystore).open("patients")
    assert sorted(key.label_order("ab", 100)) == list(range(100))
    assert key.label_order("ab", 100) != key.label_order("cd", 100)
    hidden = key.hide("ab", b"cats and dogs", b"names")
    assert key.reveal("ab", hidden, b"names") == b"cats and dogs"
    assert hidden == key.hide("ab", b"cats and dogs", b"names")
    for damaged in (hidden[:-1], bytes([hidden[0] ^ 1]) + hidden[1:], b""):
        with pytest.raises(KeyStoreError, match="hides was damaged"):
            key.reveal("ab", damaged, b"names")
    for salt, context in (("cd", b"names"), ("ab", b"source")):
        with pytest.raises(KeyStoreError, match="hides was damaged"):
            key.reveal(salt, hidden, context)


def test_what_is_published_of_a_job_is_keyed_and_kept_apart(keystore, tmp_path):
    key = KeyStore(keystore).open("patients")
    values = [
        key.public_fingerprint("f"),
        key.public_origin("f"),
        key.dataset_salt("1.0.0", "f"),
        key.mac("f", b""),
    ]
    values.append(key.order_secret("f").hex())
    assert len({*values}) == 5
    assert all(len(value) == 64 for value in values)
    KeyStore(str(tmp_path / "other")).create("patients")
    other = KeyStore(str(tmp_path / "other")).open("patients")
    assert other.public_fingerprint("f") not in values
    assert key.dataset_salt("1.0.1", "f") != key.dataset_salt("1.0.0", "f")
