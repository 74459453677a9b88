"""Keysets: made, rotated, disabled, destroyed, and refused when anything about them is wrong."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.pipeline.keystore import KeyRef, KeyStore, Registry
from lpe.transforms.errors import KeyStoreError
from tests.secret_bytes import prf_keys


def test_create_list_rotate(keystore):
    store = KeyStore(keystore)
    (first,) = store.keys("patients")
    assert (first.state, first.primary) == ("enabled", True)
    assert first.created.startswith("20")
    keys = store.rotate("patients")
    assert [(key.id == first.id, key.primary) for key in keys] == [(True, False), (False, True)]
    assert store.open("patients").id == keys[1].id
    assert store.open("patients", first.id).compute(b"x", 16) != store.open("patients").compute(b"x", 16)
    assert store.names() == ["patients"]


def test_the_prf_is_hkdf_sha256_so_that_users_are_not_locked_in(keystore):
    ((key_id, secret),) = prf_keys(keystore, "patients").items()
    derived = HKDF(hashes.SHA256(), 48, salt=None, info=b"context").derive(secret)
    assert KeyStore(keystore).open("patients", key_id).compute(b"context", 48) == derived


def test_secret_files_are_the_owners_alone(keystore):
    for path in Path(keystore).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(Path(keystore).stat().st_mode) == 0o700


def test_disable_enable_destroy(keystore):
    store = KeyStore(keystore)
    old = store.keys("patients")[0].id
    with pytest.raises(KeyStoreError, match=r"primary.*rotate first"):
        store.destroy("patients", old)
    store.rotate("patients")
    store.disable("patients", old)
    with pytest.raises(KeyStoreError, match=f"key {old} .*disabled; enable it"):
        store.open("patients", old)
    store.enable("patients", old)
    store.open("patients", old)
    secret = prf_keys(keystore, "patients")[old]
    assert store.destroy("patients", old)[0].state == "destroyed"
    assert old not in prf_keys(keystore, "patients")
    assert secret not in prf_keys(keystore, "patients").values()
    for call in (store.open, store.enable, store.destroy):
        with pytest.raises(KeyStoreError, match="destroyed"):
            call("patients", old)


def test_a_key_in_use_is_not_destroyed_without_force(keystore, tmp_path):
    store = KeyStore(keystore)
    old = store.keys("patients")[0].id
    store.rotate("patients")
    version = tmp_path / "enc" / "1.0.0"
    version.mkdir(parents=True)
    (version / INFO_FILE).write_text("{}")
    Registry(keystore).record_dataset("patients", old, str(version))
    with pytest.raises(KeyStoreError, match=r"in use by .*enc/1\.0\.0; re-encrypt"):
        store.destroy("patients", old)
    assert store.keys("patients")[0].state == "enabled"
    assert store.destroy("patients", old, force=True)[0].state == "destroyed"


def test_a_dataset_that_cannot_be_found_holds_its_key_until_it_is_released(keystore, tmp_path):
    store, gone = KeyStore(keystore), str(tmp_path / "gone" / "1.0.0")
    old = store.keys("patients")[0].id
    store.rotate("patients")
    Registry(keystore).record_dataset("patients", old, gone)
    with pytest.raises(KeyStoreError, match=r"gone/1\.0\.0 \(not found\); look for it, .*keys release"):
        store.destroy("patients", old)
    assert Registry(keystore).release("patients", gone)
    assert not Registry(keystore).release("patients", gone)
    assert store.destroy("patients", old)[0].state == "destroyed"


def test_no_dataset_is_recorded_under_a_key_that_was_destroyed_meanwhile(keystore, tmp_path):
    store = KeyStore(keystore)
    old = store.keys("patients")[0].id
    store.rotate("patients")
    store.destroy("patients", old)
    with pytest.raises(KeyStoreError, match=f"key {old} .*destroyed"):
        Registry(keystore).record_dataset("patients", old, str(tmp_path))


def test_keys_do_not_pickle_or_print_and_refs_do(keystore):
    key = KeyStore(keystore).open("patients")
    with pytest.raises(TypeError, match="must not be pickled"):
        pickle.dumps(key)
    secret = next(iter(prf_keys(keystore, "patients").values()))
    assert secret.hex() not in repr(key)
    assert repr(secret) not in repr(key)
    ref = pickle.loads(pickle.dumps(KeyRef(keystore, "patients", key.id)))
    assert ref.open().compute(b"x", 32) == key.compute(b"x", 32)


def test_check_values_tell_keys_apart(keystore):
    store = KeyStore(keystore)
    old = store.open("patients")
    store.rotate("patients")
    new = store.open("patients")
    old.verify("ab", old.check_value("ab"))
    with pytest.raises(KeyStoreError, match="another keyset of the same name"):
        new.verify("ab", old.check_value("ab"))


def test_label_order_is_a_permutation_and_sealing_is_authenticated(keystore):
    key = KeyStore(keystore).open("patients")
    assert sorted(key.label_order("ab", 100)) == list(range(100))
    assert key.label_order("ab", 100) != key.label_order("cd", 100)
    sealed = key.hide("ab", b"cats and dogs")
    assert key.reveal("ab", sealed) == b"cats and dogs"
    assert sealed == key.hide("ab", b"cats and dogs")
    for damaged in (sealed[:-1], bytes([sealed[0] ^ 1]) + sealed[1:], b""):
        with pytest.raises(KeyStoreError, match="sealed"):
            key.reveal("ab", damaged)
    with pytest.raises(KeyStoreError, match="sealed"):
        key.reveal("cd", sealed)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "patients.json").unlink(), "no such keyset.*lpe keys create"),
        (lambda d: (d / "patients.meta.json").unlink(), "patients.meta.json: missing"),
        (lambda d: (d / "patients.meta.json").write_text("{"), "patients.meta.json: damaged"),
        (lambda d: (d / "kek.json").unlink(), "kek.json: the key-encryption key is missing"),
        (lambda d: (d / "kek.json").write_text('{"a": 1}'), "not a key-encryption key"),
        (lambda d: (d / "kek.json").chmod(0o644), "chmod 600"),
        (lambda d: (d / "patients.json").write_text("{}"), "cannot be opened"),
        (lambda d: (d / "patients.json").write_bytes(b"\xff\xfe"), "cannot be opened"),
    ],
)
def test_what_is_wrong_with_a_key_store_is_said(keystore, spoil, message):
    spoil(Path(keystore))
    with pytest.raises(KeyStoreError, match=message):
        KeyStore(keystore).open("patients")


def test_a_flipped_bit_in_the_keyset_is_found(keystore):
    path = Path(keystore) / "patients.json"
    value = json.loads(path.read_text())
    text = value["encryptedKeyset"]
    value["encryptedKeyset"] = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]
    path.write_text(json.dumps(value))
    with pytest.raises(KeyStoreError, match="damaged, renamed, or wrapped by another"):
        KeyStore(keystore).open("patients")


def test_a_keyset_cannot_be_passed_off_under_another_name_or_kek(keystore, tmp_path):
    store = KeyStore(keystore)
    store.create("others")
    here = Path(keystore)
    (here / "others.json").write_bytes((here / "patients.json").read_bytes())
    with pytest.raises(KeyStoreError, match=r"others.json: cannot be opened"):
        store.open("others")
    elsewhere = tmp_path / "elsewhere"
    KeyStore(str(elsewhere)).create("patients")
    (elsewhere / "patients.json").write_bytes((here / "patients.json").read_bytes())
    with pytest.raises(KeyStoreError, match="wrapped by another"):
        KeyStore(str(elsewhere)).open("patients")


def test_a_kek_can_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    KeyStore("keys").create("patients", kek="safe/kek.json")
    assert not (tmp_path / "keys" / "kek.json").exists()
    monkeypatch.chdir("/")
    KeyStore(str(tmp_path / "keys")).open("patients")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "kek", "a.meta", "-x"])
def test_names_that_would_be_other_files_are_refused(keystore, name):
    with pytest.raises(KeyStoreError, match="cannot name a keyset"):
        KeyStore(keystore).create(name)


def test_an_existing_keyset_is_not_overwritten(keystore):
    before = (Path(keystore) / "patients.json").read_bytes()
    with pytest.raises(KeyStoreError, match="exists"):
        KeyStore(keystore).create("patients")
    assert (Path(keystore) / "patients.json").read_bytes() == before
