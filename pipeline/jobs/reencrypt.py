"""The next version of an encrypted dataset, under its keyset's primary key or another cipher."""

from __future__ import annotations

import dataclasses

from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.authentication import OwnerSigner, open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt, Encrypt
from lpe.pipeline.encryption.encoders import keep_encoders
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests
from lpe.pipeline.encryption.names import CarriedNames, HiddenMap
from lpe.pipeline.encryption.reduction import open_chain
from lpe.pipeline.jobs.choice import (
    chosen_encryption,
    encryption_settings,
    published_class_names,
    stored_format,
)
from lpe.pipeline.jobs.spec import CipherChange, CipherChoice, JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.keystore import KeyRef, Registry
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms import ciphers


def write_reencrypted(spec: JobSpec, keystore: str, change: CipherChange) -> JobResult:
    """Writes the next version of an encrypted dataset under its keyset's primary key.

    Decryption and encryption are one batch transform after the other in one worker: no plain image reaches a disk.
    Every shard is read back, and every image compared, before the version is committed.

    Args:
      spec: its input is the dataset `dataset:HOME`, its home the same HOME, whose lock the caller holds.
      keystore: where both keys are.
      change: another cipher, parameters or scope.

    Raises:
      DataError: the input is no encrypted dataset of lpe's, or is damaged.
      KeyStoreError: a key cannot be had, or is another one.
    """
    spec, keystore = spec.on_workers(), spec.path_on_workers(keystore)
    with open_plan(spec.read) as plan:
        old = Encryption.of(plan.dataset, "encrypt it first", spec.read.source)
        assert plan.dataset is not None  # it has an encryption
        choice = changed_cipher(old, change)
        primary = KeyRef(keystore, old.key_name).open()
        # Before anything is concluded from what the dataset says of itself, such as the key that it needs.
        old_key = open_dataset_key(plan.dataset, old, keystore)
        if old.key_id == primary.id and not changes_cipher(old, change):
            return JobResult(plan.dataset, skipped=True, seconds=0.0)
        true_names = old.class_names(old_key, plan.class_names)
        fmt, sealed_shape = stored_format(plan, choice, plan.dataset.format.file_format)
        copies = {} if plan.dataset.augmentation is None else {"augmentation": plan.dataset.augmentation}
        class_names = published_class_names(true_names, choice)
        settings = {
            "command": "reencrypt",
            **encryption_settings(choice, primary, spec.read),
            **copies,
        }
        identity = version_identity(
            spec,
            plan,
            settings,
            class_names=class_names,
            encrypted=True,
            key=primary,
            format=fmt,
            restartable=True,
        )
        with new_version(spec.home, identity, locked=True) as version:
            source = old.source(old_key) or SourceDigests(plan.digest, plan.origin)
            encryption = chosen_encryption(choice, primary, version, true_names, sealed_shape, source)
            if old.reduction is not None:
                carried = old.reduction.under(old_key, old.spec.salt, primary, encryption.spec.salt)
                encryption = dataclasses.replace(encryption, reduction=carried)
                keep_encoders(open_chain(old.reduction, old_key, old.spec.salt, keystore), primary, keystore)
            if version.committed is None:
                Registry(keystore).record_dataset(old.key_name, primary.id, version.directory)
            origin = {"version": plan.dataset.version, "key": old.key_id}
            return write_version(
                spec,
                plan,
                version,
                restore=Decrypt(keystore, old, len(class_names)),
                conceal=Encrypt(keystore, encryption, len(class_names)),
                check=Decrypt(keystore, encryption, len(class_names)),
                manifest={**encryption.to_json(), **copies, "reencrypted_from": origin},
                signer=OwnerSigner(keystore, encryption),
                names=CarriedNames(
                    HiddenMap.of(plan.dataset, old, keystore), HiddenMap(keystore, encryption, identity.job)
                ),
            )


def changed_cipher(old: Encryption, change: CipherChange) -> CipherChoice:
    """How a dataset is encrypted after a change. Raises CipherError for unknown ciphers and parameters."""
    name = change.name or old.spec.name
    params = {**(old.spec.params if name == old.spec.name else {}), **change.params}
    return CipherChoice(
        name,
        ciphers.resolve_params(name, params),
        change.scope or old.spec.scope,
        hide_labels=old.hidden_class_names is not None,
        seal=old.seal is not None,
        reduction="" if old.reduction is None else old.reduction.steps,
    )


def changes_cipher(old: Encryption, change: CipherChange) -> bool:
    """Whether a change makes the encryption another one than it is."""
    return changed_cipher(old, change) != changed_cipher(old, CipherChange())
