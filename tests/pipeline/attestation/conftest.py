"""An owner with a sealed dataset and a policy, an attestation service, and requests of programs."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lpe
from lpe.pipeline.attestation import hpke, memory
from lpe.pipeline.attestation.offer import Offer
from lpe.pipeline.attestation.policy import PolicyFile, ReleasePolicy
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.attestation.trust import Trust
from lpe.transforms import labels
from tests.pipeline.attestation.stub_service import AUDIENCE, DIGEST, ISSUER, StubService


@dataclasses.dataclass
class Owner:
    """An owner and all that they have on their disk.

    Attributes:
      folder: everything is in it.
      service: the attestation service that the policy believes.
      dataset, keystore, policy: paths.
    """

    folder: Path
    service: StubService
    dataset: str
    keystore: str
    policy: str

    def policy_file(self) -> PolicyFile:
        return lpe.read_policy(self.policy)

    def rewrite_policy(self, **changes: Any) -> None:
        """Changes the policy in its place."""
        changed = dataclasses.replace(self.policy_file().policy, **changes)
        Path(self.policy).unlink()
        lpe.write_policy(changed, self.policy)

    def offer(self, valid: str = "1h") -> Offer:
        return lpe.offer_data_key(self.dataset, self.keystore, "patients", self.policy_file(), valid)

    def request(self, offer: Offer, key: hpke.PrivateKey, token: str | None = None, **claims: Any) -> Request:
        """A request with a good token, but for what is given."""
        good = self.service.token(offer.audience, [offer.nonce, key.fingerprint], **claims)
        return Request(offer, key.public, good if token is None else token)

    def release(self, request: Request | bytes) -> lpe.ReleasedKey | Any:
        content = request if isinstance(request, bytes) else request.to_bytes()
        return lpe.release_data_key(content, self.policy, self.keystore, "patients")

    def data_key(self) -> bytes:
        """The secret itself, to look for it where it must not be."""
        key = lpe.KeyStore(self.keystore).open("patients")
        return key.compute(labels.data_key(lpe.sealed_dataset(self.dataset).salt), 32)

    def events(self, event: str) -> list[Any]:
        trail = lpe.KeyStore(self.keystore).audit_log("patients")
        assert not trail.problems
        return [line for line in trail.events if line["event"] == event]


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> StubService:
    return StubService(tmp_path_factory.mktemp("service") / "key.pem")


@pytest.fixture(scope="session")
def make_owner(tmp_path_factory, service) -> Callable[..., Owner]:
    def make(folder: Path | None = None, images: int = 40) -> Owner:
        folder = folder or tmp_path_factory.mktemp("owner")
        keystore, dataset, policy = (str(folder / name) for name in ("keys", "sealed/shapes", "policy.toml"))
        lpe.KeyStore(keystore).create("patients")
        lpe.encrypt(
            lpe.JobSpec(lpe.ReadSpec(f"synthetic:{images}"), dataset),
            lpe.CipherChoice("plain", seal=True),
            lpe.KeyRef(keystore, "patients"),
        )
        made = ReleasePolicy(
            dataset=lpe.sealed_dataset(dataset),
            service="confidential-space",
            issuer=ISSUER,
            trust=Trust(service.jwks()),
            audience=AUDIENCE,
            image_digests=(DIGEST,),
            hardware=("GCP_INTEL_TDX",),
            support_attributes=("STABLE",),
            confidential_gpu=True,
        )
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
