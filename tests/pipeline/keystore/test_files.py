"""The files of a key store: whose they are, and what of them is reachable."""

from __future__ import annotations

import pickle
import stat
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore, Registry
from lpe.pipeline.keystore.files import KeysetFiles
from lpe.transforms.errors import KeyStoreError
from tests.secret_bytes import found, prf_keys


def test_secret_files_are_the_owners_alone(keystore):
    for path in Path(keystore).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(Path(keystore).stat().st_mode) == 0o700


def test_an_open_keyset_does_not_pickle_or_print(keystore):
    secrets = list(prf_keys(keystore, "patients").values())
    with KeysetFiles(keystore).changing("patients") as change:
        for opened in (KeysetFiles(keystore).read("patients"), change):
            assert found(secrets, opened.keyset.SerializeToString())
            assert not found(secrets, (repr(opened) + str(opened)).encode())
            with pytest.raises(TypeError, match="must not be pickled"):
                pickle.dumps(opened)


def test_what_changes_files_is_not_in_reach_of_a_store_or_registry(keystore):
    for public in (KeyStore(keystore), Registry(keystore)):
        for private in ("read", "find", "write", "log_event", "changing", "locked", "keyset_path"):
            assert not hasattr(public, private)


def test_a_key_of_another_keyset_is_not_found(keystore):
    with pytest.raises(KeyStoreError, match="has no key 1: it may be another keyset of the same name"):
        KeysetFiles(keystore).read("patients").find(1)
