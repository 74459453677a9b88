"""decrypt: the plain dataset out of an encrypted one."""

from __future__ import annotations

import dataclasses

from lpe.pipeline import storage
from lpe.pipeline.dataset.layout import IDS_FILE
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.names import CarriedNames, HiddenMap, PlainMap
from lpe.pipeline.jobs.reducing import reduced_note
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.sources.plan import open_plan

NO_NAMES = "the original names are not known: the key store has no map of them for this dataset"


def decrypt(spec: JobSpec, keystore: str) -> JobResult:
    """Restores the plain dataset from an encrypted one; the key is the one that the dataset names.

    Images that were reduced before they were encrypted come back as they were reduced.

    Args:
      spec: its input is the encrypted dataset, `dataset:DIR`.
      keystore: the key store's URI.

    Raises:
      DataError: the input is no encrypted dataset of lpe's, or is damaged; the home holds something else.
      KeyStoreError: the key cannot be had, or is another one.
      BusyError: another job writes at the home.
    """
    spec, keystore = spec.on_workers(), spec.path_on_workers(keystore)
    with open_plan(spec.read) as plan:
        encryption = Encryption.of(plan.dataset, "name one as dataset:DIR", spec.read.source)
        assert plan.dataset is not None  # it has an encryption
        key = open_dataset_key(plan.dataset, encryption, keystore)
        class_names, source = encryption.class_names(key, plan.class_names), encryption.source(key)
        identity = version_identity(
            spec,
            plan,
            {"command": "decrypt"},
            class_names=class_names,
            encrypted=False,
            origin=source.origin if source is not None else None,
        )
        with new_version(spec.home, identity) as version:
            hidden = HiddenMap.of(plan.dataset, encryption, keystore)
            notes = (*plan.notes, *([] if hidden.exists() else [NO_NAMES]), *reduced_note(plan.dataset))
            return write_version(
                spec,
                dataclasses.replace(plan, notes=notes),
                version,
                restore=Decrypt(keystore, encryption, len(class_names)),
                names=CarriedNames(hidden, PlainMap(storage.join(version.data, IDS_FILE))),
            )
