"""decrypt."""

from __future__ import annotations

from lpe.pipeline.encryption.batch_transforms import Decrypt, Identity
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.spec import JobResult, JobSpec, reached, reached_place
from lpe.pipeline.jobs.write import Product, Work, run_job
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms.errors import DataError


def decrypt(spec: JobSpec, keystore: str) -> JobResult:
    """Restores the plain dataset from an encrypted one; the key is the one that the dataset names."""
    spec, keystore = reached(spec), reached_place(spec, keystore)
    with open_plan(spec.read) as source:
        if source.dataset is None or source.dataset.encryption is None:
            raise DataError(f"{spec.read.source}: not an encrypted dataset of lpe's; name one as dataset:DIR")
        encryption = Encryption.from_json(source.dataset.encryption, source.dataset.directory)
        key = encryption.open_key(keystore)
        names = encryption.class_names(key, source.class_names)
        stage = Decrypt(keystore, encryption, len(names))
        product = Product({"command": "decrypt"}, names, False, lambda _: Work(stage, Identity()))
        return run_job(spec, source, product)
