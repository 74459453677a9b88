"""Key-encryption keys in Vault: how it is asked, and what is said when it refuses."""

from __future__ import annotations

import pytest

from lpe.pipeline.keystore.kek import open_kek
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.services import NAME, Keks
from tests.servers import free_port
from tests.servers.openbao import ROOT_TOKEN, openbao_server

pytestmark = pytest.mark.usefixtures("no_credentials")


def test_vault_says_what_a_token_may_not_do(vault, monkeypatch):
    client = _vault_client(vault)
    client.sys.create_or_update_policy("wrap", 'path "transit/encrypt/kek" { capabilities = ["update"] }')
    token = client.auth.token.create(policies=["wrap"])["auth"]["client_token"]
    monkeypatch.setenv("VAULT_TOKEN", token)
    kek = open_kek(vault.uri)
    wrapped = kek.encrypt(b"keyset", NAME)  # update alone is enough to wrap
    with pytest.raises(KeyStoreError, match=r"no permission .*decrypt/") as error:
        kek.decrypt(wrapped, NAME)
    assert token not in str(error.value)
    monkeypatch.setenv("VAULT_TOKEN", "revoked")
    with pytest.raises(KeyStoreError, match=r"no permission .*token is valid"):
        open_kek(vault.uri).encrypt(b"keyset", NAME)


def test_a_disabled_version_of_a_vault_key_is_said(vault, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    uri, client = vault.uri.replace("/kek", "/old"), _vault_client(vault)
    kek = open_kek(uri)
    wrapped = kek.encrypt(b"keyset", NAME)
    client.secrets.transit.rotate_key("old")
    assert kek.decrypt(wrapped, NAME) == b"keyset"
    client.secrets.transit.update_key_configuration("old", min_decryption_version=2)
    with pytest.raises(KeyStoreError, match=r"is disabled .*min_decryption_version"):
        kek.decrypt(wrapped, NAME)


def test_vault_is_asked_with_the_token_of_its_login(vault, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".vault-token").write_text(f"{ROOT_TOKEN}\n")
    kek = open_kek(vault.uri)
    assert kek.decrypt(kek.encrypt(b"keyset", NAME), NAME) == b"keyset"


def test_a_vault_on_this_machine_is_not_asked_through_a_proxy(vault, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", f"{ROOT_TOKEN}\n")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    kek = open_kek(vault.uri)
    assert kek.decrypt(kek.encrypt(b"keyset", NAME), NAME) == b"keyset"


def test_a_vault_with_a_certificate_of_its_own(vault, monkeypatch, tmp_path):
    hvac = pytest.importorskip("hvac")
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    with openbao_server(tmp_path) as place:
        authority = str(tmp_path / "vault-ca.pem")
        client = hvac.Client(url=f"https://{place}", token=ROOT_TOKEN, verify=authority)
        client.sys.enable_secrets_engine("transit")
        client.secrets.transit.create_key("kek")
        uri = f"hcvault://{place}/transit/keys/kek"
        monkeypatch.setenv("VAULT_ADDR", f"https://{place}")
        with pytest.raises(KeyStoreError, match=r"certificate .*VAULT_CACERT"):
            open_kek(uri).encrypt(b"keyset", NAME)
        monkeypatch.setenv("VAULT_CACERT", authority)
        kek = open_kek(uri)
        assert kek.decrypt(kek.encrypt(b"keyset", NAME), NAME) == b"keyset"


def test_vault_is_asked_over_tls_unless_on_this_machine(vault, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    # This server speaks plain HTTP, so a TLS handshake fails.
    monkeypatch.setenv("VAULT_ADDR", f"https://{vault.server}")
    with pytest.raises(KeyStoreError, match=r"certificate .*VAULT_CACERT"):
        open_kek(vault.uri).encrypt(b"keyset", NAME)
    monkeypatch.setenv("VAULT_ADDR", f"http://{vault.server}")
    monkeypatch.setenv("VAULT_NAMESPACE", "nowhere")
    with pytest.raises(KeyStoreError, match=r"no such key .*VAULT_NAMESPACE"):
        open_kek(vault.uri).encrypt(b"keyset", NAME)


def _vault_client(vault: Keks):
    hvac = pytest.importorskip("hvac")
    return hvac.Client(url=f"http://{vault.server}", token=ROOT_TOKEN)
