"""Key-encryption keys by their URI: local files, and names of keys in services."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import tink

from lpe.pipeline.keystore import KeyStore
from lpe.pipeline.keystore.kek import create_local_kek, open_kek
from lpe.transforms.errors import KeyStoreError


def test_a_local_kek_wraps_for_one_name_and_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "kek.json"
    create_local_kek(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kek = open_kek(str(path))
    wrapped = kek.encrypt(b"keyset", b"name")
    assert kek.decrypt(wrapped, b"name") == b"keyset"
    with pytest.raises(tink.TinkError):
        kek.decrypt(wrapped, b"another name")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "the key-encryption key is missing; restore it"),
        (lambda path: path.write_text('{"a": 1}'), "not a key-encryption key"),
        (lambda path: path.chmod(0o644), "chmod 600"),
        (lambda path: (path.unlink(), path.mkdir(mode=0o700)), "this is a directory: name a file"),
    ],
)
def test_what_is_wrong_with_a_local_kek_is_said(tmp_path, spoil, message):
    path = Path(tmp_path) / "kek.json"
    create_local_kek(str(path))
    spoil(path)
    with pytest.raises(KeyStoreError, match=rf"kek\.json: .*{message}"):
        open_kek(str(path))


def test_a_kek_can_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    KeyStore("keys").create("patients", kek="safe/kek.json")
    assert not (tmp_path / "keys" / "kek.json").exists()
    monkeypatch.chdir("/")
    KeyStore(str(tmp_path / "keys")).open("patients")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("azure-kv://vault/key", "no known kind .* aws-kms://.* gcp-kms://.* hcvault://"),
        ("aws-kms://alias/kek", "malformed; .*arn:aws:kms:REGION"),
        ("aws-kms://arn:aws:kms:eu-west-1:123456789012:key/", "malformed"),
        ("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "malformed"),
        ("hcvault://host", "malformed; .*hcvault://HOST:PORT/transit/keys/NAME"),
        ("hcvault://user:password@host/transit/keys/kek", "malformed"),
        ("hcvault://host/transit/keys/..", "malformed"),
        ("hcvault://host/transit/keys/kek\n", "^[^\n]*malformed[^\n]*$"),
    ],
)
def test_a_uri_that_names_no_key_is_refused(uri, message):
    with pytest.raises(KeyStoreError, match=message):
        open_kek(uri)


@pytest.mark.parametrize("uri", ["aws-kms:arn:aws:kms:eu-west-1:123456789012:key/1", "hcvault:/host/kek"])
def test_a_mistyped_uri_makes_no_local_key(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyStoreError, match="names a local file; a key in a service is named"):
        KeyStore("keys").create("patients", kek=uri)
    assert not list(tmp_path.glob("*:*"))
