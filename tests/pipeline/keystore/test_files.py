"""The files of a key store: whose they are, and what of them is reachable."""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import shutil
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


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_no_change_gives_secrets_to_others(tmp_path, umask):
    before = os.umask(umask)
    try:
        keystore = str(tmp_path / "parent" / "keys")
        store = KeyStore(keystore)
        old = store.create("patients", kek=str(tmp_path / "safe" / "kek.json"))[0].id
        store.rotate("patients")
        Registry(keystore).record_dataset("patients", old, str(tmp_path))
        store.disable("patients", old)
        store.destroy("patients", old, force=True)
    finally:
        os.umask(before)
    for directory in (Path(keystore), tmp_path / "safe"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_what_a_killed_rotation_left_is_gone_before_a_key_is_said_to_be_destroyed(keystore):
    """The temporary keyset is under the same key-encryption key: copied back, it would open."""
    store, here = KeyStore(keystore), Path(keystore)
    old = store.keys("patients")[0].id
    store.rotate("patients")
    for name in ("patients.json", "patients.meta.json", "patients.log.jsonl"):
        shutil.copy(here / name, here / f".tmp-0123abcd-{name}")
    shutil.copy(here / ".tmp-0123abcd-patients.json", here / "copy")
    store.destroy("patients", old)
    assert not list(here.glob(".tmp-*"))
    shutil.copy(here / "copy", here / "patients.json")  # what the temporary would have done
    store.open("patients", old)


@pytest.mark.parametrize("change", ["rotate", "record", "create"])
def test_every_change_removes_what_a_killed_one_left(keystore, tmp_path, change):
    left = Path(keystore) / ".tmp-0123abcd-others.json"
    left.touch()
    key = KeyStore(keystore).open("patients").id
    assert left.exists()
    {
        "rotate": lambda: KeyStore(keystore).rotate("patients"),
        "record": lambda: Registry(keystore).record_dataset("patients", key, str(tmp_path)),
        "create": lambda: KeyStore(keystore).create("more"),
    }[change]()
    assert not left.exists()


def test_making_a_key_elsewhere_removes_what_was_to_become_it_and_nothing_else(tmp_path):
    for name in ("kek.json", "letter.txt", "my-kek.json"):
        (tmp_path / f".tmp-0123abcd-{name}").touch()
    KeyStore(str(tmp_path / "keys")).create("patients", kek=str(tmp_path / "kek.json"))
    assert sorted(path.name for path in tmp_path.glob(".*")) == [
        ".tmp-0123abcd-letter.txt",
        ".tmp-0123abcd-my-kek.json",
    ]


def test_stores_that_make_one_key_at_once_share_it(tmp_path):
    kek = str(tmp_path / "kek.json")

    def create(number: int) -> None:
        KeyStore(str(tmp_path / f"keys{number}")).create("patients", kek=kek)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    for number in range(8):
        KeyStore(str(tmp_path / f"keys{number}")).open("patients")


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
