"""An owner with a sealed dataset and a policy, an attestation service, and requests of programs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lpe
from lpe.pipeline.attestation import hpke, memory
from lpe.pipeline.attestation.trust import Trust
from tests.pipeline.attestation.owner import Owner, good_policy
from tests.pipeline.attestation.stub_service import StubService


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> StubService:
    return StubService(tmp_path_factory.mktemp("service") / "key.pem")


@pytest.fixture(scope="session")
def make_owner(tmp_path_factory, service) -> Callable[..., Owner]:
    def make(folder: Path | None = None, images: int = 40, keystore: str | None = None) -> Owner:
        folder = folder or tmp_path_factory.mktemp("owner")
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
def owner(make_owner, tmp_path) -> Owner:
    return make_owner(tmp_path)


@pytest.fixture(scope="session")
def program() -> hpke.PrivateKey:
    """A program's key pair."""
    return hpke.PrivateKey.new()


@contextlib.contextmanager
def own_memory() -> Iterator[Path]:
    """A folder on a tmpfs, where `lpe` puts meanwhile what must not be on a disk."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(memory, "_SHARED_MEMORY", folder)
        yield Path(folder)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """See `own_memory`."""
    with own_memory() as folder:
        yield folder
