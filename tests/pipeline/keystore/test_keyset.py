"""Wrapped keysets: refused when they were changed, renamed, or are under another key-encryption key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore
from lpe.transforms.errors import KeyStoreError


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
