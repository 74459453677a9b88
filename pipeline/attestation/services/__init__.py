"""The attestation services whose tokens are understood, one file each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lpe.pipeline.attestation.evidence import Evidence
from lpe.pipeline.attestation.services import azure, confidential_space, trustee
from lpe.pipeline.storage.documents import Fields


@dataclasses.dataclass(frozen=True)
class Service:
    """A kind of attestation service.

    Attributes:
      title: its name, for people.
      evidence: what the claims of a token say, whose signature was checked.
      hardware: names of hardware that keeps memory confidential, as its tokens have them.
      support_attributes: those that a machine in productive use has; empty where there is no such claim.
      digest_of: what its image digest is the digest of.
      attests_gpu: whether its tokens say whether a GPU is confidential.
    """

    title: str
    evidence: Callable[[Fields], Evidence]
    hardware: tuple[str, ...]
    support_attributes: tuple[str, ...]
    digest_of: str
    attests_gpu: bool = False


SERVICES = {
    "confidential-space": Service(
        "Google Confidential Space",
        confidential_space.evidence,
        ("GCP_AMD_SEV", "GCP_AMD_SEV_ES", "GCP_AMD_SEV_SNP", "GCP_INTEL_TDX"),
        ("LATEST", "STABLE", "USABLE"),
        "the container image",
        attests_gpu=True,
    ),
    "azure": Service(
        "Azure Attestation",
        azure.evidence,
        ("sevsnpvm",),
        ("azure-compliant-uvm", "azure-compliant-cvm"),
        "the confidential computing enforcement policy (host data)",
    ),
    "trustee": Service(
        "Trustee",
        trustee.evidence,
        ("snp", "tdx", "se", "cca"),
        (),
        "the initdata of the confidential container",
    ),
}
"""By the name that a policy gives it."""
