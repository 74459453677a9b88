"""unseal: the learnable ciphertext out of a sealed dataset, for a trainer who has its data key."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.authentication import DataKeySigner
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.seal.opening import seal_opener
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms.errors import DataError


def unseal(spec: JobSpec, data_key: str) -> JobResult:
    """Writes what is within the seal: the dataset as `encrypt` would have written it without.

    Args:
      spec: its input is the sealed dataset, `dataset:DIR`.
      data_key: path of the exported data key.

    Raises:
      DataError: the dataset is not sealed, or an image does not open.
      KeyStoreError: the data key is missing or of another dataset.
      BusyError: another job writes at the home.
    """
    spec, data_key = spec.on_workers(), spec.path_on_workers(data_key)
    with open_plan(spec.read) as plan:
        if plan.dataset is None or plan.dataset.encryption is None or not plan.dataset.sealed:
            raise DataError(f"{spec.read.source}: not a sealed dataset of lpe's; name one as dataset:DIR")
        sealed = Encryption.of(plan.dataset, "name a sealed one")
        open_seal = seal_opener(plan.dataset, data_key)  # the wrong key is refused before anything is begun
        unsealed = dataclasses.replace(sealed, seal=None, unsealed=True)
        identity = version_identity(
            spec,
            plan,
            {"command": "unseal"},
            class_names=plan.class_names,
            encrypted=True,
            format=plan.output_format(plan.dataset.format.file_format),
        )
        with new_version(spec.home, identity) as version:
            return write_version(
                spec,
                plan,
                version,
                conceal=open_seal,
                manifest=unsealed.to_json(),
                signer=DataKeySigner(data_key),
            )
