"""References to keys: what travels in place of a key."""

from __future__ import annotations

import pickle

import pytest

from lpe.pipeline.keystore import KeyRef, KeyStore
from lpe.transforms.errors import KeyStoreError


def test_a_reference_pickles_and_opens_its_key(keystore):
    key = KeyStore(keystore).open("patients")
    ref = pickle.loads(pickle.dumps(KeyRef(keystore, "patients", key.id)))
    assert ref.open().compute(b"x", 32) == key.compute(b"x", 32)


def test_a_reference_without_an_id_is_to_the_primary_key(keystore):
    ref, store = KeyRef(keystore, "patients"), KeyStore(keystore)
    old = ref.open().id
    new = store.rotate("patients")[-1].id
    assert (ref.open().id, KeyRef(keystore, "patients", old).open().id) == (new, old)
    with pytest.raises(KeyStoreError, match="has no key 1: "):
        KeyRef(keystore, "patients", 1).open()
