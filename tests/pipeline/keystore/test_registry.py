"""The registry: which datasets and runs need which key, and what their records prevent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.pipeline.keystore import KeyStore, Registry, Use
from lpe.transforms.errors import KeyStoreError


def version(directory: Path, key_id: int) -> str:
    """A version that is committed as far as a key store looks, under a key of `patients`."""
    directory.mkdir(parents=True)
    (directory / INFO_FILE).write_text("{}")
    (directory / ENCRYPTION_FILE).write_text(json.dumps({"key": {"name": "patients", "id": key_id}}))
    return str(directory)


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
    with pytest.raises(KeyStoreError, match=r"gone/1\.0\.0 \(not found\); look for it, .*keys forget"):
        store.destroy("patients", old)
    assert Registry(keystore).forget("patients", gone)
    assert not Registry(keystore).forget("patients", gone)
    assert store.destroy("patients", old)[0].state == "destroyed"


def test_no_dataset_is_recorded_under_a_key_that_was_destroyed_meanwhile(keystore, tmp_path):
    store = KeyStore(keystore)
    old = store.keys("patients")[0].id
    store.rotate("patients")
    store.destroy("patients", old)
    with pytest.raises(KeyStoreError, match=f"key {old} .*destroyed"):
        Registry(keystore).record_dataset("patients", old, str(tmp_path))


def test_what_is_recorded_and_what_is_found_below_a_root_need_their_keys(keystore, tmp_path):
    registry, key_id = Registry(keystore), KeyStore(keystore).keys("patients")[0].id
    recorded = version(tmp_path / "enc" / "a" / "1.0.0", key_id)
    registry.record_dataset("patients", key_id, recorded)
    besides = version(tmp_path / "enc" / "b" / "1.0.0", key_id)
    assert registry.uses("patients", []) == {key_id: [Use("dataset", recorded, True)]}
    both = [Use("dataset", recorded, True), Use("dataset", besides, True)]
    assert registry.uses("patients", [str(tmp_path / "enc")]) == {key_id: both}


def test_a_run_is_registered_once_and_stale_when_its_dataset_is(keystore, tmp_path):
    store, registry, run = KeyStore(keystore), Registry(keystore), tmp_path / "run"
    key_id = store.keys("patients")[0].id
    for _ in range(2):
        registry.register_run("patients", key_id, str(run), "salt")
    assert [e["event"] for e in store.audit_log("patients").events] == ["created", "run registered"]
    assert registry.stale_runs("patients", "salt") == []  # it is not there
    run.mkdir()
    (run / "run.json").write_text("{}")
    assert registry.stale_runs("patients", "salt") == [str(run)]
    assert registry.stale_runs("patients", "another") == []


def test_versions_that_are_gone_are_forgotten_and_logged(keystore, tmp_path):
    store, registry, home = KeyStore(keystore), Registry(keystore), tmp_path / "enc" / "a"
    key_id = store.keys("patients")[0].id
    for name in ("1.0.0", "1.0.1"):
        registry.record_dataset("patients", key_id, str(home / name))
    registry.forget_versions("patients", str(home), {"1.0.1": key_id}, [])
    assert store.metadata("patients").key(key_id).datasets == [str(home / "1.0.0"), str(home / "1.0.1")]
    registry.forget_versions("patients", str(home), {"1.0.1": key_id}, [str(home / "1.0.0")])
    assert store.metadata("patients").key(key_id).datasets == [str(home / "1.0.1")]
    last = store.audit_log("patients").events[-1]
    assert (last["event"], last["dataset"], last["key"]) == ("version deleted", str(home / "1.0.0"), key_id)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\u2028b", "\udcff"])
def test_a_place_that_no_line_can_hold_is_refused_before_anything_is_written(keystore, tmp_path, name):
    registry, key_id = Registry(keystore), KeyStore(keystore).keys("patients")[0].id
    before = {path: path.read_bytes() for path in Path(keystore).iterdir()}
    for call in (
        lambda: registry.record_dataset("patients", key_id, str(tmp_path / name)),
        lambda: registry.register_run("patients", key_id, str(tmp_path / name), "salt"),
        lambda: registry.log("patients", "dataset encrypted", dataset=name, key=key_id),
    ):
        with pytest.raises(KeyStoreError, match="control characters"):
            call()
    assert {path: path.read_bytes() for path in Path(keystore).iterdir()} == before
