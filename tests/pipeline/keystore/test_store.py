"""The key store: keysets made, rotated, disabled, destroyed, and refused when anything about them is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from lpe.pipeline import clock
from lpe.pipeline.keystore import KeyStore, Registry
from lpe.transforms.errors import KeyStoreError, UsageError
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


def test_the_directory_that_one_is_in_has_its_name_in_messages(keystore, monkeypatch):
    monkeypatch.chdir(keystore)
    with pytest.raises(KeyStoreError, match=f"keyset 'patients' in {keystore} has no key 1:"):
        KeyStore(".").open("patients", 1)


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


@pytest.mark.parametrize("name", ["", "a/b", "../x", "kek", "a.meta", "-x"])
def test_names_that_would_be_other_files_are_refused(keystore, name):
    with pytest.raises(KeyStoreError, match="cannot name a keyset"):
        KeyStore(keystore).create(name)


def test_an_existing_keyset_is_not_overwritten(keystore):
    before = (Path(keystore) / "patients.json").read_bytes()
    with pytest.raises(KeyStoreError, match="exists"):
        KeyStore(keystore).create("patients")
    assert (Path(keystore) / "patients.json").read_bytes() == before


def test_a_key_is_rotated_when_it_is_due(tmp_path):
    store, start = KeyStore(str(tmp_path / "keys")), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    with clock.fixed_at(start):
        (first,) = store.create("patients", rotation_period="30d")
        assert store.rotate_if_due("patients") is None
    with clock.fixed_at(start + datetime.timedelta(days=30)):
        second = store.rotate_if_due("patients")
        assert store.rotate_if_due("patients") is None
    assert [(key.id, key.primary) for key in store.keys("patients")] == [(first.id, False), (second, True)]
    with pytest.raises(UsageError, match="no length of time"):
        store.rotate("patients", "soon")


def test_unused_keys_are_destroyed_and_the_forecast_says_which(keystore, tmp_path):
    store, registry = KeyStore(keystore), Registry(keystore)
    used = store.keys("patients")[0].id
    registry.record_dataset("patients", used, str(tmp_path / "1.0.0"))
    assert store.would_destroy("patients", lambda use: True, rotated=False) == []  # it is the primary one
    assert store.would_destroy("patients", lambda use: True, rotated=True) == [used]
    never_used = store.rotate("patients")[-1].id
    store.rotate("patients")
    assert store.destroy_unused("patients") == []
    registry.forget("patients", str(tmp_path / "1.0.0"))
    assert store.destroy_unused("patients") == [used]
    states = {key.id: key.state for key in store.keys("patients")}
    assert (states[used], states[never_used]) == ("destroyed", "enabled")
