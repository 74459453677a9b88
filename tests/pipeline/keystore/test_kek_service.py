"""Keysets under a key of a key service: what works, and what is said when it does not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tink
from tink import aead, json_proto_keyset_format, proto_keyset_format, secret_key_access
from tink.proto import hkdf_prf_pb2, tink_pb2

from lpe.pipeline.keystore import KeyStore, kek_service
from lpe.pipeline.keystore.kek import open_kek
from lpe.transforms import labels
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.services import AWS_ENDPOINT, GCP_ENDPOINT, NAME, Keks, answering
from tests.secret_bytes import found
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("no_credentials")


@pytest.fixture(params=["aws", "gcp", "vault"])
def keks(request, monkeypatch) -> Keks:
    """The keys of each service in turn."""
    found_keks: Keks = request.getfixturevalue(request.param)
    for name, value in found_keks.environment.items():
        monkeypatch.setenv(name, value)
    return found_keks


@pytest.fixture
def store(keks: Keks, tmp_path: Path) -> KeyStore:
    """A key store with the keyset `patients` under the service's key."""
    store = KeyStore(str(tmp_path / "keys"))
    store.create("patients", kek=keks.uri)
    return store


def test_a_keyset_is_made_rotated_and_opened_again(store, keks):
    (first,) = store.keys("patients")
    value = store.open("patients").compute(b"x", 32)
    store.rotate("patients")
    again = KeyStore(store.uri)
    assert again.open("patients", first.id).compute(b"x", 32) == value
    assert again.open("patients").compute(b"x", 32) != value
    assert json.loads(Path(store.uri, "patients.meta.json").read_text())["kek"] == keks.uri
    assert not Path(store.uri, "kek.json").exists()


def test_another_process_opens_the_keyset_and_it_is_nowhere_in_clear(store, keks, tmp_path):
    store.rotate("patients")
    value = store.open("patients").compute(b"x", 32)
    code = (
        "import sys; from lpe.pipeline.keystore import KeyStore; "
        "sys.stdout.write(KeyStore(sys.argv[1]).open('patients').compute(b'x', 32).hex())"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, store.uri],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == value.hex()
    secrets = [key.key_value for key in _clear_keys(store, keks)]
    assert len(secrets) == 2
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"patients.json", "patients.meta.json"} <= {path.name for path in files}
    for path in files:
        assert not found(secrets, path.read_bytes()), path
    assert found(secrets, b"a leak: " + secrets[1])


def test_the_wrong_kek_is_refused(store, keks):
    meta = Path(store.uri, "patients.meta.json")
    meta.write_text(meta.read_text().replace(keks.uri, keks.other))
    with pytest.raises(KeyStoreError, match="wrapped by another"):
        KeyStore(store.uri).open("patients")


@pytest.mark.parametrize("at", [0.4, 0.99])
def test_a_tampered_keyset_is_refused(store, at):
    path = Path(store.uri, "patients.json")
    keyset = json.loads(path.read_text())
    wrapped = keyset["encryptedKeyset"]
    place = int(len(wrapped) * at) - 4
    keyset["encryptedKeyset"] = (
        wrapped[:place] + ("A" if wrapped[place] != "A" else "B") + wrapped[place + 1 :]
    )
    path.write_text(json.dumps(keyset))
    with pytest.raises(KeyStoreError, match=r"patients\.json: cannot be opened .*damaged"):
        store.open("patients")


def test_a_renamed_keyset_is_refused(store):
    here = Path(store.uri)
    for suffix in ("json", "meta.json"):
        shutil.copy(here / f"patients.{suffix}", here / f"others.{suffix}")
    with pytest.raises(KeyStoreError, match=r"others\.json: cannot be opened .*renamed"):
        store.open("others")


def test_a_keyset_of_another_purpose_is_refused(store, keks):
    aead.register()
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    text = json_proto_keyset_format.serialize_encrypted(
        handle, open_kek(keks.uri), labels.keyset("patients", keks.uri)
    )
    Path(store.uri, "patients.json").write_text(text)
    with pytest.raises(KeyStoreError, match=r"patients\.json: a keyset of another purpose"):
        store.open("patients")


def test_a_key_that_is_not_there_is_said_and_not_made(keks, tmp_path):
    for _ in range(2):
        with pytest.raises(KeyStoreError, match=f"{keks.missing}: .*has no such key.*check"):
            KeyStore(str(tmp_path / "keys")).create("patients", kek=keks.missing)
    assert not (tmp_path / "keys" / "patients.json").exists()


def test_a_key_that_is_gone_is_said(store, keks):
    meta = Path(store.uri, "patients.meta.json")
    meta.write_text(meta.read_text().replace(keks.uri, keks.missing))
    with pytest.raises(KeyStoreError, match=f"{keks.missing}: .*has no such key.*check"):
        KeyStore(store.uri).open("patients")


def test_an_answer_that_is_none_of_the_service_s_is_said(store, keks, monkeypatch):
    with answering() as stub:
        stub.status = 200  # of an object without fields
        moved = at_server(store, keks, stub.url.removeprefix("http://"), monkeypatch)
        with pytest.raises(KeyStoreError, match="no answer of a key service; check"):
            moved.open("patients")
        with pytest.raises(KeyStoreError, match="no answer of a key service; check"):
            open_kek(moved.metadata("patients").kek).encrypt(b"keyset", NAME)


def test_a_service_that_is_not_there_is_said_at_once(store, keks, monkeypatch):
    started = time.monotonic()
    with pytest.raises(KeyStoreError, match=r"cannot be reached.*check") as error:
        at_server(store, keks, f"127.0.0.1:{free_port()}", monkeypatch).open("patients")
    assert "\n" not in str(error.value)
    assert time.monotonic() - started < 5


def test_a_service_that_does_not_answer_is_not_waited_for_long(store, keks, monkeypatch):
    monkeypatch.setattr(kek_service, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        moved = at_server(store, keks, f"127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        with pytest.raises(KeyStoreError, match="cannot be reached"):
            moved.open("patients")


def test_no_credentials(store, keks, monkeypatch):
    for name in keks.environment:
        monkeypatch.delenv(name)
    with pytest.raises(KeyStoreError, match=f"{keks.uri}: no credentials.*; .*(set|give)"):
        store.open("patients")


def test_an_extra_that_is_not_installed_is_named(keks, monkeypatch):
    for module in ("boto3", "google.cloud.kms_v1", "hvac"):
        monkeypatch.setitem(sys.modules, module, None)
    for service in ("aws", "gcp", "vault"):
        monkeypatch.delitem(sys.modules, f"lpe.pipeline.keystore.kek_{service}", raising=False)
    monkeypatch.delattr("google.cloud.kms_v1", raising=False)
    with pytest.raises(KeyStoreError, match=r"pip install -e '\.\[(aws|gcp|vault)\]'"):
        open_kek(keks.uri)


def _clear_keys(store: KeyStore, keks: Keks) -> list[hkdf_prf_pb2.HkdfPrfKey]:
    text = Path(store.uri, "patients.json").read_text()
    handle = json_proto_keyset_format.parse_encrypted(
        text, open_kek(keks.uri), labels.keyset("patients", keks.uri)
    )
    clear = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    return [hkdf_prf_pb2.HkdfPrfKey.FromString(key.key_data.value) for key in clear.key]


def at_server(store: KeyStore, keks: Keks, server: str, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    """The same store with the service looked for elsewhere."""
    for name in (AWS_ENDPOINT, GCP_ENDPOINT):
        if name in keks.environment:
            monkeypatch.setenv(name, f"http://{server}")
    meta = Path(store.uri, "patients.meta.json")
    meta.write_text(meta.read_text().replace(f"hcvault://{keks.server}", f"hcvault://{server}"))
    return KeyStore(store.uri)
