"""Key services, each started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.keystore.services import AWS_ENDPOINT, GCP_ENDPOINT, Keks
from tests.servers.google_kms import GoogleKms, google_kms
from tests.servers.moto import moto_server
from tests.servers.openbao import ROOT_TOKEN, openbao_server


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleKms]:
    pytest.importorskip("google.cloud.kms_v1", reason="google-cloud-kms is not installed: it is not tested")
    with google_kms() as stub:
        yield stub


@pytest.fixture(scope="session")
def gcp(google: GoogleKms) -> Keks:
    uri, other = google.add_key("kek"), google.add_key("other")
    return Keks(uri, other, f"{uri}-missing", google.url, {GCP_ENDPOINT: google.url})


@pytest.fixture(scope="session")
def vault() -> Iterator[Keks]:
    hvac = pytest.importorskip("hvac", reason="hvac is not installed: Vault is not tested")
    with openbao_server() as place:
        client = hvac.Client(url=f"http://{place}", token=ROOT_TOKEN)
        client.sys.enable_secrets_engine("transit")
        for name in ("kek", "other", "old"):
            client.secrets.transit.create_key(name)
        uri = f"hcvault://{place}/transit/keys/"
        yield Keks(f"{uri}kek", f"{uri}other", f"{uri}missing", place, {"VAULT_TOKEN": ROOT_TOKEN})


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
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
