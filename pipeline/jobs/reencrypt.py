"""reencrypt."""

from __future__ import annotations

from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.jobs.spec import CipherChange, CipherChoice, JobResult, JobSpec, reached, reached_place
from lpe.pipeline.jobs.write import encrypt_as
from lpe.pipeline.keystore import KeyRef, KeyStore
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms import ciphers
from lpe.transforms.errors import DataError


def reencrypt(spec: JobSpec, keystore: str, change: CipherChange) -> JobResult:
    """Writes the next version of an encrypted dataset under its keyset's primary key.

    Decryption and encryption are one step on each batch: no plain image reaches a disk. Every shard is read
    back, and every image compared, before the version is committed.

    Args:
      spec: its input is the dataset `dataset:HOME`, its output the same HOME, whose lock the caller holds.
      keystore: where both keys are.
      change: another cipher, parameters or scope.
    """
    spec, keystore = reached(spec), reached_place(spec, keystore)
    with open_plan(spec.read) as source:
        if source.dataset is None or source.dataset.encryption is None:
            raise DataError(f"{spec.read.source}: not an encrypted dataset of lpe's; encrypt it first")
        old = Encryption.from_json(source.dataset.encryption, source.dataset.directory)
        choice = changed_cipher(old, change)
        if choice == changed_cipher(old, CipherChange()) and old.key_id == primary_key(keystore, old):
            return JobResult(source.dataset, skipped=True, seconds=0.0)
        names = old.class_names(old.open_key(keystore), source.class_names)
        restore = Decrypt(keystore, old, len(names))
        kept = (
            {"augmentation": source.dataset.augmentation} if source.dataset.augmentation is not None else {}
        )
        return encrypt_as(spec, source, choice, KeyRef(keystore, old.key_name), names, restore, kept)


def changed_cipher(old: Encryption, change: CipherChange) -> CipherChoice:
    """How a dataset is encrypted after a change. Raises CipherError for what the schemes do not know."""
    name = change.name or old.spec.name
    params = {**(old.spec.params if name == old.spec.name else {}), **change.params}
    hidden = old.hidden_class_names is not None
    return CipherChoice(
        name,
        ciphers.resolve_params(name, params),
        change.scope or old.spec.scope,
        hide_labels=hidden,
        seal=old.seal is not None,
    )


def primary_key(keystore: str, encryption: Encryption) -> int:
    """The id of the primary key of the keyset that a dataset is encrypted under."""
    return KeyStore(keystore).open(encryption.key_name).id
