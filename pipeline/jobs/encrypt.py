"""ingest, encrypt, decrypt, reencrypt: an input, a stage and an output each, over the one pipeline."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.engine import runners
from lpe.pipeline.jobs.spec import CipherChoice, JobResult, JobSpec, reached, reached_place
from lpe.pipeline.jobs.write import encrypt_as
from lpe.pipeline.keystore import KeyRef
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms.augment import Augmentation
from lpe.transforms.errors import DataError


def encrypt(
    spec: JobSpec, choice: CipherChoice, key: KeyRef, augmentation: Augmentation | None = None
) -> JobResult:
    """Encrypts the images of any source, or of an ingested dataset, under the keyset's primary key.

    With an augmentation, copies of the training images are varied, encrypted and written as further splits.
    """
    spec, key = reached(spec), dataclasses.replace(key, keystore=reached_place(spec, key.keystore))
    with open_plan(spec.read) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.read.source}: this dataset is encrypted already; decrypt it first")
        runners.check_no_temporary(spec.options(), spec.read.source, source.temporary)
        described = {"augmentation": augmented.to_json(augmentation)} if augmentation is not None else {}
        with_copies = augmented.with_copies(source, augmentation)
        return encrypt_as(spec, with_copies, choice, key, source.class_names, None, described)
