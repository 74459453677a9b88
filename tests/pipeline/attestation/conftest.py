"""An owner with a sealed dataset and a policy, an attestation service, and requests of programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lpe
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.trust import Trust
from tests.pipeline.attestation.owner import Owner, good_policy
from tests.pipeline.attestation.stub_service import StubService


@pytest.fixture(scope="session")
def service() -> StubService:
    return StubService()


@pytest.fixture
def make_owner(tmp_path, service) -> Callable[..., Owner]:
    def make(folder: Path = tmp_path, images: int = 40, keystore: str | None = None) -> Owner:
        dataset, policy = (str(folder / name) for name in ("sealed/shapes", "policy.toml"))
        if keystore is None:
            keystore = str(folder / "keys")
            lpe.KeyStore(keystore).create("patients")
        lpe.encrypt(
            lpe.JobSpec(lpe.ReadSpec(f"synthetic:{images}"), dataset),
            lpe.CipherChoice("plain", seal=True),
            lpe.KeyRef(keystore, "patients"),
        )
        made = good_policy(Trust(service.jwks()), lpe.sealed_dataset(dataset))
        lpe.write_policy(made, policy)
        return Owner(folder, service, dataset, keystore, policy)

    return make


@pytest.fixture
def owner(make_owner) -> Owner:
    return make_owner()


@pytest.fixture(scope="session")
def program() -> hpke.PrivateKey:
    """A program's key pair."""
    return hpke.PrivateKey.new()
