"""Keysets under a key of a key service: what works, and what is said when it does not."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tink
from tink import aead, json_proto_keyset_format, proto_keyset_format, secret_key_access
from tink.proto import hkdf_prf_pb2, tink_pb2

from lpe.pipeline.keystore import KeyStore, kek_service
from lpe.pipeline.keystore.kek import open_kek
from lpe.transforms.errors import KeyStoreError
from tests.secret_bytes import found
from tests.servers import free_port
from tests.servers.google_kms import GoogleKms, google_kms
from tests.servers.moto import moto_server
from tests.servers.openbao import ROOT_TOKEN, openbao_server

AWS_ENDPOINT, GCP_ENDPOINT = "AWS_ENDPOINT_URL", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"
NAME = b"lpe/v1/keyset/patients"
ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Keks:
    """Two keys of a running service, the URI of one that is not there, and what its client needs to be told."""

    uri: str
    other: str
    missing: str
    server: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def aws() -> Iterator[Keks]:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: AWS KMS is not tested")
    with moto_server() as url:
        kms = boto3.client(
            "kms",
            region_name="eu-west-1",
            endpoint_url=url,
            aws_access_key_id="t",
            aws_secret_access_key="t",
        )
        uri, other = (f"aws-kms://{kms.create_key()['KeyMetadata']['Arn']}" for _ in range(2))
        environment = {AWS_ENDPOINT: url, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}
        yield Keks(uri, other, uri.rpartition("/")[0] + "/00000000-0000", url, environment)


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleKms]:
    pytest.importorskip("google.cloud.kms_v1", reason="google-cloud-kms is not installed: it is not tested")
    with google_kms() as stub:
        yield stub


@pytest.fixture(scope="module")
def gcp(google: GoogleKms) -> Keks:
    uri, other = google.add_key("kek"), google.add_key("other")
    return Keks(uri, other, f"{uri}-missing", google.url, {GCP_ENDPOINT: google.url})


@pytest.fixture(scope="module")
def vault() -> Iterator[Keks]:
    hvac = pytest.importorskip("hvac", reason="hvac is not installed: Vault is not tested")
    with openbao_server() as place:
        client = hvac.Client(url=f"http://{place}", token=ROOT_TOKEN)
        client.sys.enable_secrets_engine("transit")
        for name in ("kek", "other", "old"):
            client.secrets.transit.create_key(name)
        uri = f"hcvault://{place}/transit/keys/"
        yield Keks(f"{uri}kek", f"{uri}other", f"{uri}missing", place, {"VAULT_TOKEN": ROOT_TOKEN})


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch, tmp_path):
    """No credentials or configuration but what a test sets."""
    for name in (
        "AWS_PROFILE",
        "VAULT_ADDR",
        "VAULT_NAMESPACE",
        "VAULT_CACERT",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


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
    text = json_proto_keyset_format.serialize_encrypted(handle, open_kek(keks.uri), NAME)
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
    with _answering() as stub:
        stub.status = 200  # of an object without fields
        moved = _at_server(store, keks, stub.url.removeprefix("http://"), monkeypatch)
        with pytest.raises(KeyStoreError, match="no answer of a key service; check"):
            moved.open("patients")
        with pytest.raises(KeyStoreError, match="no answer of a key service; check"):
            open_kek(moved.metadata("patients").kek).encrypt(b"keyset", NAME)


def test_a_service_that_is_not_there_is_said_at_once(store, keks, monkeypatch):
    started = time.monotonic()
    with pytest.raises(KeyStoreError, match=r"cannot be reached.*check") as error:
        _at_server(store, keks, f"127.0.0.1:{free_port()}", monkeypatch).open("patients")
    assert "\n" not in str(error.value)
    assert time.monotonic() - started < 5


def test_a_service_that_does_not_answer_is_not_waited_for_long(store, keks, monkeypatch):
    monkeypatch.setattr(kek_service, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        moved = _at_server(store, keks, f"127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
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
    monkeypatch.delattr("google.cloud.kms_v1", raising=False)
    with pytest.raises(KeyStoreError, match=r"pip install 'learnable-pixel-encryption\[(aws|gcp|vault)\]'"):
        open_kek(keks.uri)


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


# Amazon's


def test_a_session_token_is_not_in_a_message(aws, monkeypatch):
    for name, value in {**aws.environment, "AWS_SESSION_TOKEN": "of-this-session\n"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeyStoreError, match="check the credentials for line ends") as error:
        open_kek(aws.uri).encrypt(b"keyset", NAME)
    assert "of-this-session" not in str(error.value)


def test_aws_says_who_may_not_use_a_key(aws, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv(AWS_ENDPOINT, aws.server)
    admin = {"aws_access_key_id": "t", "aws_secret_access_key": "t", "region_name": "eu-west-1"}
    iam = boto3.client("iam", **admin)
    iam.create_user(UserName="trainer")
    access = iam.create_access_key(UserName="trainer")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", access["SecretAccessKey"])
    kek = open_kek(aws.uri)
    wrapped = kek.encrypt(b"keyset", NAME)
    with _permissions_checked(aws.server):
        for call in (lambda: kek.encrypt(b"keyset", NAME), lambda: kek.decrypt(wrapped, NAME)):
            with pytest.raises(KeyStoreError, match=r"no permission .*allow this account"):
                call()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
        with pytest.raises(KeyStoreError, match="InvalidClientTokenId"):
            open_kek(aws.uri).encrypt(b"keyset", NAME)
    assert kek.decrypt(wrapped, NAME) == b"keyset"


def test_what_aws_refuses_is_said(aws, monkeypatch):
    """Answers that moto does not give."""
    with _answering() as stub:
        for name, value in {**aws.environment, AWS_ENDPOINT: stub.url}.items():
            monkeypatch.setenv(name, value)
        kek = open_kek(aws.uri)
        for code, status, message in (
            ("DisabledException", 400, "is disabled; enable it"),
            ("KMSInvalidStateException", 400, "to be deleted; .*cancel-key-deletion"),
            ("ExpiredTokenException", 400, "does not accept the credentials .*renew"),
            ("InvalidKeyUsageException", 400, "does not encrypt; name"),
            ("KMSInternalException", 500, "fails at the moment .*try again later"),
            ("SomethingNewException", 400, "refuses .*SomethingNew.*not usable.*check the key"),
        ):
            stub.status, stub.answer = status, {"__type": code, "message": "it is not usable"}
            for call in (kek.encrypt, kek.decrypt):
                with pytest.raises(KeyStoreError, match=f"{aws.uri}: .*{message}"):
                    call(b"x", NAME)
        stub.status, stub.answer = 400, {"__type": "IncorrectKeyException", "message": "another key"}
        with pytest.raises(tink.TinkError):
            kek.decrypt(b"x", NAME)


def test_a_keyset_too_large_for_aws_is_said(aws, monkeypatch):
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeyStoreError, match=r"at most 4,096 bytes.*destroy old ones"):
        open_kek(aws.uri).encrypt(bytes(4097), NAME)


# Google's


def test_what_google_refuses_is_said(google, gcp, monkeypatch):
    monkeypatch.setenv(GCP_ENDPOINT, google.url)
    kek, name = open_kek(gcp.uri), gcp.uri.removeprefix("gcp-kms://")
    wrapped = kek.encrypt(b"keyset", NAME)
    for field, value, message in (
        ("forbidden", {name}, "no permission .*denied.*grant roles/cloudkms"),
        ("disabled", {name}, "not enabled .*DISABLED.*gcloud kms keys versions enable"),
        ("down", True, "fails at the moment .*try again later"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(google, field, value)
            for call in (lambda: kek.encrypt(b"keyset", NAME), lambda: kek.decrypt(wrapped, NAME)):
                with pytest.raises(KeyStoreError, match=f"{gcp.uri}: .*{message}"):
                    call()
    assert kek.decrypt(wrapped, NAME) == b"keyset"


def test_google_is_told_who_asks_unless_on_this_machine(gcp, monkeypatch, tmp_path):
    monkeypatch.setenv(GCP_ENDPOINT, "http://kms.invalid:80")
    with pytest.raises(KeyStoreError, match="in clear; name it with https"):
        open_kek(gcp.uri)
    monkeypatch.setenv(GCP_ENDPOINT, "https://kms.invalid")
    with pytest.raises(KeyStoreError, match="no credentials"):
        open_kek(gcp.uri)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(KeyStoreError, match=r"no credentials .*nowhere\.json"):
        open_kek(gcp.uri)


@pytest.mark.parametrize(
    ("refused", "message"),
    [(True, "does not accept the credentials .*revoked.*renew"), (False, "cannot be reached")],
)
def test_a_google_account_that_gets_no_token_is_said(gcp, monkeypatch, tmp_path, refused, message):
    subject = tmp_path / "subject"
    subject.write_text("token-of-the-subject")
    path = tmp_path / "account.json"
    with _answering() as stub:
        stub.status, stub.answer = 400, {"error": "invalid_grant", "error_description": "it was revoked"}
        account = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/test",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": stub.url if refused else f"http://127.0.0.1:{free_port()}",
            "credential_source": {"file": str(subject)},
        }
        path.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        monkeypatch.setenv(GCP_ENDPOINT, "https://kms.invalid")
        with pytest.raises(KeyStoreError, match=message) as error:
            open_kek(gcp.uri).encrypt(b"keyset", NAME)
    assert "token-of-the-subject" not in str(error.value)


# Vault's


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


def _clear_keys(store: KeyStore, keks: Keks) -> list[hkdf_prf_pb2.HkdfPrfKey]:
    text = Path(store.uri, "patients.json").read_text()
    handle = json_proto_keyset_format.parse_encrypted(text, open_kek(keks.uri), NAME)
    clear = tink_pb2.Keyset.FromString(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    return [hkdf_prf_pb2.HkdfPrfKey.FromString(key.key_data.value) for key in clear.key]


def _at_server(store: KeyStore, keks: Keks, server: str, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    """The same store with the service looked for elsewhere."""
    for name in (AWS_ENDPOINT, GCP_ENDPOINT):
        if name in keks.environment:
            monkeypatch.setenv(name, f"http://{server}")
    meta = Path(store.uri, "patients.meta.json")
    meta.write_text(meta.read_text().replace(f"hcvault://{keks.server}", f"hcvault://{server}"))
    return KeyStore(store.uri)


def _vault_client(vault: Keks):
    hvac = pytest.importorskip("hvac")
    return hvac.Client(url=f"http://{vault.server}", token=ROOT_TOKEN)


@contextlib.contextmanager
def _permissions_checked(url: str) -> Iterator[None]:
    """moto allows everything until it is told to look at policies."""

    def after(actions: str) -> None:
        urllib.request.urlopen(
            urllib.request.Request(
                f"{url}/moto-api/reset-auth", actions.encode(), {"Content-Type": "text/plain"}
            )
        ).close()

    after("0")
    try:
        yield
    finally:
        after("inf")


@dataclasses.dataclass
class _Stub:
    """A server that gives every request the same answer."""

    url: str = ""
    status: int = 500
    answer: dict[str, str] = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def _answering() -> Iterator[_Stub]:
    stub = _Stub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            data = json.dumps(stub.answer).encode()
            self.send_response(stub.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stub.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stub
        finally:
            server.shutdown()
