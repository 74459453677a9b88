"""Wrapped keysets: refused when they were changed, renamed, or are under another key-encryption key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.keystore.files import KeysetFiles
from lpe.pipeline.keystore.kek import open_kek
from lpe.pipeline.keystore.keyset import wrap
from lpe.transforms import labels
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.kills import killed_before
from tests.secret_bytes import prf_keys


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


def test_a_keyset_is_bound_to_the_uri_of_its_kek(keystore):
    meta = Path(keystore) / "patients.meta.json"
    meta.write_text(meta.read_text().replace('"kek.json"', f'"{keystore}/kek.json"'))
    with pytest.raises(
        KeyStoreError, match=r"patients\.json: cannot be opened .*the URI of that was changed"
    ):
        KeyStore(keystore).open("patients")


def unbind(keystore: str) -> None:
    """Makes the keyset one of before format version 2."""
    opened, here = KeysetFiles(keystore).read("patients"), Path(keystore)
    kek = open_kek(str(here / "kek.json"))
    wrapped = wrap("patients", opened.keyset, labels.unbound_keyset("patients"), kek)
    (here / "patients.json").write_bytes(wrapped)
    meta = json.loads((here / "patients.meta.json").read_text())
    (here / "patients.meta.json").write_text(json.dumps({**meta, "format_version": 1}))


def test_a_keyset_of_the_first_format_is_read_and_bound_at_its_next_change(keystore):
    keys = prf_keys(keystore, "patients")
    unbind(keystore)
    store, path = KeyStore(keystore), Path(keystore) / "patients.json"
    before = path.read_bytes()
    assert store.open("patients").id in keys
    assert path.read_bytes() == before
    store.rotate("patients")
    assert json.loads(path.with_name("patients.meta.json").read_text())["format_version"] == 2
    assert prf_keys(keystore, "patients").items() > keys.items()
    path.write_bytes(before)
    with pytest.raises(KeyStoreError, match="cannot be opened"):  # what says that it is bound must be
        store.open("patients")


def test_a_kill_while_a_keyset_is_bound_loses_nothing(keystore):
    keys = prf_keys(keystore, "patients")
    unbind(keystore)
    with killed_before(".meta.json"):
        KeyStore(keystore).rotate("patients")
    assert KeyStore(keystore).open("patients").id in keys
    assert len(KeyStore(keystore).rotate("patients")) == 2
    assert prf_keys(keystore, "patients").items() > keys.items()


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff", b"", b"null", b'{"encryptedKeyset": "AAAA"}'])
def test_what_is_no_keyset_is_said(keystore, content):
    (Path(keystore) / "patients.json").write_bytes(content)
    with pytest.raises(KeyStoreError, match=r"patients\.json: cannot be opened"):
        KeyStore(keystore).open("patients")


def test_a_keyset_of_absurd_size_is_not_read(keystore):
    with (Path(keystore) / "patients.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(KeyStoreError, match=r"patients\.json: damaged \(larger than 64 MB\)"):
        KeyStore(keystore).open("patients")
