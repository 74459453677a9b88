"""What somebody who can write a key store, and not read its key-encryption key, tries: substitution and replay."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore, Registry
from lpe.transforms.errors import KeyStoreError

SOMEBODY = 12345
SUFFIXES = ("json", "meta.json", "log.jsonl")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def evil(tmp_path) -> Path:
    """A store of the same keyset's name, under a key-encryption key that the adversary knows."""
    KeyStore(str(tmp_path / "evil")).create("patients", kek=str(tmp_path / "evil" / "kek.json"))
    return tmp_path / "evil"


def substitute(evil: Path, keystore: str, *suffixes: str) -> None:
    for suffix in suffixes:
        (Path(keystore) / f"patients.{suffix}").write_bytes((evil / f"patients.{suffix}").read_bytes())


def test_a_keyset_and_its_metadata_contradict_the_log(lpe, keystore, evil, tmp_path):
    substitute(evil, keystore, "json", "meta.json")
    shown = lpe("keys", "log", "patients", "--keystore", keystore, "--json")
    assert shown.code == 1
    assert any(f"its metadata names {evil}/kek.json" in problem for problem in shown.json["problems"])
    key = KeyStore(keystore).keys("patients")[0].id
    for change in (
        lambda: KeyStore(keystore).rotate("patients"),
        lambda: KeyStore(keystore).accept("patients"),
        lambda: Registry(keystore).record_dataset("patients", key, "/enc/s/1.0.0"),
    ):
        with pytest.raises(
            KeyStoreError, match=r"log\.jsonl: the keyset was made under .* kek\.json, and its"
        ):
            change()
    words = ("encrypt", "--source", "synthetic:70", "--output", tmp_path / "enc" / "s", "--key", "patients")
    refused = lpe(*words, "--keystore", keystore)
    assert (refused.code, "was made under the key-encryption key" in refused.err) == (1, True)
    assert not (tmp_path / "enc" / "s" / "1.0.0").exists()


def test_a_key_that_came_without_an_entry_is_a_problem_and_is_not_made_good(lpe, keystore, evil):
    log = Path(keystore) / "patients.log.jsonl"
    before = log.read_bytes()
    substitute(evil, keystore, "json", "meta.json")
    meta = json.loads((evil / "patients.meta.json").read_text())
    meta["log"] = None
    (Path(keystore) / "patients.meta.json").write_text(json.dumps(meta))
    log.write_bytes(before.replace(b'"kek": "kek.json", ', b""))
    key = KeyStore(keystore).keys("patients")[0].id
    shown = lpe("keys", "log", "patients", "--keystore", keystore, "--json")
    assert f"key {key} is enabled and the log says nothing" in shown.json["problems"]
    with pytest.raises(
        KeyStoreError, match=f"key {key} is enabled and the log says nothing; restore .*--accept"
    ):
        KeyStore(keystore).rotate("patients")
    assert b"late" not in log.read_bytes()


@pytest.mark.parametrize("kept", [True, False])
def test_an_old_keyset_brings_no_destroyed_key_back_into_use(lpe, keystore, tmp_path, kept):
    store, path = KeyStore(keystore), Path(keystore) / "patients.json"
    old = store.keys("patients")[0].id
    store.rotate("patients")
    before = path.read_bytes()
    store.destroy("patients", old)
    path.write_bytes(before)
    if not kept:
        path.with_name("patients.log.jsonl").unlink()
    says = "destroyed" if kept else "nothing"
    with pytest.raises(KeyStoreError, match=f"key {old} is enabled and the log says {says}"):
        Registry(keystore).record_dataset("patients", old, str(tmp_path))
    assert lpe("keys", "log", "patients", "--keystore", keystore).code == 1


def test_all_files_of_a_keyset_under_another_key_are_refused_where_the_owner_names_his(
    lpe, keystore, evil, monkeypatch
):
    monkeypatch.setenv("LPE_KEK", f"{keystore}/kek.json")
    KeyStore(keystore).open("patients")
    substitute(evil, keystore, *SUFFIXES)
    with pytest.raises(KeyStoreError, match=r"evil/kek\.json: not the key-encryption key that LPE_KEK names"):
        KeyStore(keystore).open("patients")
    refused = lpe("keys", "list", "patients", "--keystore", keystore)
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


def test_a_keyset_is_made_under_the_key_that_the_owner_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LPE_KEK", "safe/kek.json")
    store = KeyStore("keys")
    store.create("patients")
    assert store.metadata("patients").kek == str(tmp_path / "safe" / "kek.json")
    assert stat.S_IMODE((tmp_path / "safe").stat().st_mode) == 0o700
    with pytest.raises(KeyStoreError, match="not the key-encryption key that LPE_KEK names"):
        store.create("others", kek="another.json")
    assert not (tmp_path / "another.json").exists()


@as_root
def test_all_files_under_a_key_of_another_user_are_refused(keystore, evil):
    substitute(evil, keystore, *SUFFIXES)
    os.chown(evil / "kek.json", SOMEBODY, SOMEBODY)
    with pytest.raises(KeyStoreError, match=rf"evil/kek\.json: belongs to another user \(uid {SOMEBODY}\)"):
        KeyStore(keystore).open("patients")


@as_root
@pytest.mark.parametrize("name", ["", "kek.json", *(f"patients.{suffix}" for suffix in SUFFIXES)])
def test_what_belongs_to_another_user_is_refused(keystore, name):
    os.chown(Path(keystore) / name, SOMEBODY, SOMEBODY)
    for use in (KeyStore(keystore).open, KeyStore(keystore).rotate):
        with pytest.raises(KeyStoreError, match=f"belongs to another user .*{SOMEBODY}"):
            use("patients")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_store_that_others_can_write_is_refused(keystore, mode):
    Path(keystore).chmod(mode)
    store = KeyStore(keystore)
    for use in (store.open, store.rotate, store.metadata, store.audit_log, store.create):
        with pytest.raises(KeyStoreError, match=rf"{keystore}: others .* chmod go-w {keystore}"):
            use("patients")


def test_a_store_that_others_can_read_is_not_refused(keystore):
    Path(keystore).chmod(0o755)
    KeyStore(keystore).rotate("patients")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_others_can_write_is_refused(keystore, suffix):
    path = Path(keystore) / f"patients.{suffix}"
    path.chmod(0o662)
    with pytest.raises(KeyStoreError, match=f"{path}: others than its owner may change it"):
        KeyStore(keystore).open("patients")


def test_a_key_s_directory_that_others_can_write_is_refused_also_behind_a_link(tmp_path):
    store, safe = KeyStore(str(tmp_path / "keys")), tmp_path / "safe"
    store.create("patients", kek=str(safe / "kek.json"))
    shutil.move(safe, tmp_path / "moved")
    safe.mkdir()
    (safe / "kek.json").symlink_to(tmp_path / "moved" / "kek.json")
    store.open("patients")  # the place of the file may change as long as a link is left
    for directory in (tmp_path / "moved", safe):
        directory.chmod(0o777)
        with pytest.raises(KeyStoreError, match=f"{directory}: others than its owner may change it"):
            store.open("patients")
        directory.chmod(0o1777)  # as /tmp: others cannot replace a file there
        store.open("patients")
