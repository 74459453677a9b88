"""Key-encryption keys in Google Cloud KMS: what is refused, and what is said of it."""

from __future__ import annotations

import json

import pytest

from lpe.pipeline.keystore.kek import open_kek
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.services import GCP_ENDPOINT, NAME, answering
from tests.servers import free_port

pytestmark = pytest.mark.usefixtures("no_credentials")


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
    with answering() as stub:
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
