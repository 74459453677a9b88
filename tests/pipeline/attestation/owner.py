"""An owner and all that they have: a key store, a sealed dataset, a policy; and what they say to requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import lpe
from lpe.pipeline import clock
from lpe.pipeline.attestation import hpke
from lpe.pipeline.attestation.offer import Offer
from lpe.pipeline.attestation.policy import DatasetRef, PolicyFile, ReleasePolicy
from lpe.pipeline.attestation.request import Request
from lpe.pipeline.attestation.trust import Trust
from lpe.pipeline.jobs.releasing import REFUSED, RELEASED
from lpe.transforms import labels
from lpe.transforms.errors import AttestationError, LpeError, one_line
from tests.fuzz.trial import check_line
from tests.pipeline.attestation.stub_service import AUDIENCE, DIGEST, ISSUER, StubService, claims


def seconds_from_now(times: Mapping[str, int]) -> dict[str, int]:
    """Claims of times, given in seconds from now."""
    return {name: int(clock.now().timestamp()) + seconds for name, seconds in times.items()}


SHAPES = DatasetRef("5a" * 32, "shapes", "1.0.0")
"""A dataset that there need not be."""


def good_policy(trust: Trust, dataset: DatasetRef = SHAPES, **changes: Any) -> ReleasePolicy:
    """A policy that the claims of `stub_service.claims` satisfy."""
    made = ReleasePolicy(
        dataset=dataset,
        service="confidential-space",
        issuer=ISSUER,
        trust=trust,
        audience=AUDIENCE,
        image_digests=(DIGEST,),
        hardware=("GCP_INTEL_TDX",),
        support_attributes=("STABLE",),
        confidential_gpu=True,
    )
    return dataclasses.replace(made, **changes)


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
        good = self.service.sign({**self.claims(offer, key.public), **claims})
        return Request(offer, key.public, good if token is None else token)

    def claims(self, offer: Offer, public: bytes) -> dict[str, Any]:
        """What a good token says that is bound to an offer and a public key."""
        return claims([offer.nonce, hpke.fingerprint(public)], offer.audience)

    def release(self, request: Request | bytes) -> lpe.ReleasedKey | Any:
        content = request if isinstance(request, bytes) else request.to_bytes()
        return lpe.release_data_key(content, self.policy, self.keystore, "patients")

    def refusal(self, request: Request | bytes, error: type[LpeError] = AttestationError) -> str:
        """The line that a request is refused with, which is logged once, while nothing is released."""
        refused, released = (len(self.events(event)) for event in (REFUSED, RELEASED))
        with pytest.raises(error) as caught:
            self.release(request)
        line = str(caught.value)
        check_line(line)
        assert len(self.events(RELEASED)) == released
        logged = self.events(REFUSED)[refused:]
        assert [event["reason"] for event in logged] == [one_line(line, 200)]
        return line

    def data_key(self) -> bytes:
        """The secret itself, to look for it where it must not be."""
        key = lpe.KeyStore(self.keystore).open("patients")
        return key.compute(labels.data_key(lpe.sealed_dataset(self.dataset).salt), 32)

    def events(self, event: str) -> list[Any]:
        trail = lpe.KeyStore(self.keystore).audit_log("patients")
        assert not trail.problems
        return [line for line in trail.events if line["event"] == event]
