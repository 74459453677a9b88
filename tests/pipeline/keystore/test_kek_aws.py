"""Key-encryption keys in AWS KMS: what is refused, and what is said of it."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator

import pytest
import tink

from lpe.pipeline.keystore.kek import open_kek
from lpe.transforms.errors import KeyStoreError
from tests.pipeline.keystore.services import AWS_ENDPOINT, NAME, answering

pytestmark = pytest.mark.usefixtures("no_credentials")


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
    with answering() as stub:
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
