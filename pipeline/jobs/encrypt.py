"""encrypt: the images of any source under a keyset's primary key."""

from __future__ import annotations

import dataclasses

from lpe.pipeline import storage
from lpe.pipeline.dataset import committed_versions, open_dataset
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.authentication import OwnerSigner, open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Encrypt
from lpe.pipeline.encryption.encoders import keep_encoders
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests
from lpe.pipeline.encryption.names import CarriedNames, HiddenMap, NameKeeper, NewNames, PlainMap
from lpe.pipeline.encryption.reduced_reader import DatasetReduction, reduced, with_reduced_shape
from lpe.pipeline.encryption.reduction import given_chain
from lpe.pipeline.engine import runners
from lpe.pipeline.jobs.choice import (
    chosen_encryption,
    encryption_settings,
    published_class_names,
    stored_format,
)
from lpe.pipeline.jobs.reducing import NO_KEY, chosen_reduction
from lpe.pipeline.jobs.spec import CipherChoice, JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.keystore import DatasetKey, KeyRef, Registry
from lpe.pipeline.sources import augmented
from lpe.pipeline.sources.plan import Plan, check_scope, open_plan
from lpe.transforms.augment import Augmentation


def encrypt(
    spec: JobSpec, choice: CipherChoice, key: KeyRef, augmentation: Augmentation | None = None
) -> JobResult:
    """Encrypts the images of any source, or of an ingested dataset, under the keyset's primary key.

    Args:
      choice: how.
      key: the keyset.
      augmentation: copies of the training images to be varied, encrypted and written as further splits.

    Raises:
      UsageError: an option does not go with the source or the runner, or the images cannot be reduced so.
      CipherError: the images' shape does not go with the cipher.
      KeyStoreError: the key cannot be had.
      DataError: the source is missing, damaged or encrypted already; the home holds something else.
      BusyError: another job writes at the home.
    """
    check_scope(spec.read, choice.scope)
    chain = given_chain(choice.reduction)
    spec, key = spec.on_workers(), dataclasses.replace(key, keystore=spec.path_on_workers(key.keystore))
    primary = key.open()
    with open_plan(spec.read, primary.order_secret) as opened:
        opened.require_plain("decrypt it first")
        runners.check_no_temporary(spec.options(), spec.read.source, opened.temporary)
        shaped = with_reduced_shape(opened, chain)
        plan = augmented.with_copies(shaped, augmentation)
        reduction = chosen_reduction(chain, opened.image_shape, spec.home, primary, key.keystore)
        copies = {"augmentation": augmented.to_json(augmentation)} if augmentation is not None else {}
        fmt, sealed_shape = stored_format(plan, choice, spec.file_format or "tfrecord")
        class_names = published_class_names(plan.class_names, choice)
        settings = {
            "command": "encrypt",
            **encryption_settings(choice, primary, spec.read),
            **reduction.settings(),
            **copies,
        }
        identity = version_identity(
            spec,
            plan,
            settings,
            class_names=class_names,
            encrypted=True,
            origin=_origin(spec.home, plan.origin, primary, key.keystore),
            key=primary,
            format=fmt,
        )
        registry = Registry(key.keystore)
        with new_version(spec.home, identity) as version:
            source = SourceDigests(plan.digest, plan.origin)
            encryption = chosen_encryption(choice, primary, version, plan.class_names, sealed_shape, source)
            encryption = reduction.recorded_in(encryption, primary)
            keep_encoders(chain, primary, key.keystore)
            if version.committed is None:
                registry.record_dataset(key.name, primary.id, version.directory)
            else:  # as it says itself
                open_dataset_key(version.committed, Encryption.of(version.committed, ""), key.keystore)
            reducing = reduced(shaped, DatasetReduction.of(encryption, key.keystore))
            if chain and choice.name == "plain":
                reducing = dataclasses.replace(reducing, notes=(*reducing.notes, NO_KEY))
            result = write_version(
                spec,
                augmented.with_copies(reducing, augmentation),
                version,
                conceal=Encrypt(key.keystore, encryption, len(class_names)),
                manifest={**encryption.to_json(), **copies},
                signer=OwnerSigner(key.keystore, encryption),
                names=_names(opened, HiddenMap(key.keystore, encryption, identity.job)),
            )
    directory = storage.absolute(result.dataset.directory)
    registry.log(key.name, "dataset encrypted", dataset=directory, key=primary.id)
    return result


def _names(plan: Plan, target: HiddenMap) -> NameKeeper:
    """What keeps the names of the images that a plan reads, before copies are added."""
    if plan.dataset is None:
        return NewNames(target, plan.splits)
    return CarriedNames(PlainMap.of(plan.dataset), target)


def _origin(home: str, digest: str, key: DatasetKey, keystore: str) -> str:
    """What stands for the source with this digest: as in the newest version of the home, if that came from it too."""
    if committed_versions(home):
        existing = open_dataset(home)
        if existing.encrypted:
            encryption = Encryption.of(existing, "")
            source = encryption.source(open_dataset_key(existing, encryption, keystore))
            if digest == (existing.origin if source is None else source.origin):
                return existing.origin
    return key.public_origin(digest)
