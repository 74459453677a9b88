"""unseal: the trainer opens a sealed dataset with its data key, and gets learnable ciphertext."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.encryption.batch_transforms import Identity, Unseal
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.spec import JobResult, JobSpec, reached, reached_place
from lpe.pipeline.jobs.write import Product, Work, run_job
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
    """
    spec, data_key = reached(spec), reached_place(spec, data_key)
    with open_plan(spec.read) as source:
        described = source.dataset.encryption if source.dataset is not None else None
        if source.dataset is None or described is None or source.dataset.seal is None:
            raise DataError(f"{spec.read.source}: not a sealed dataset of lpe's; name one as dataset:DIR")
        where = source.dataset.directory
        encryption = Encryption.from_json(described, where)
        assert encryption.seal is not None
        stage = Unseal(data_key, encryption.seal, where)
        stage.open()  # the wrong key is refused before anything is begun
        within = dataclasses.replace(encryption, seal=None)
        work = Work(Identity(), stage, described=within.to_json())
        return run_job(spec, source, Product({"command": "unseal"}, source.class_names, True, lambda _: work))
