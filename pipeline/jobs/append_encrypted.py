"""append_encrypted: the images of a source that an encrypted dataset does not hold yet, under its key."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, open_dataset
from lpe.pipeline.dataset.numbers import NumberRange
from lpe.pipeline.dataset.predecessor import Predecessor
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.encryption.authentication import OwnerSigner, open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt, Encrypt
from lpe.pipeline.encryption.metadata import Encryption, SourceDigests, with_source
from lpe.pipeline.encryption.names import (
    CarriedNames,
    HiddenMap,
    NameKeeper,
    NewNames,
    PlainMap,
    named_images,
    read_names,
)
from lpe.pipeline.encryption.reduced_reader import DatasetReduction, reduced, with_reduced_shape
from lpe.pipeline.encryption.reduction import given_chain, open_chain
from lpe.pipeline.engine import runners
from lpe.pipeline.jobs.appending import (
    append_settings,
    appended_plan,
    chained,
    check_fits,
    check_kept_ids,
    decoder_note,
    file_digests,
    held_dataset,
    image_tasks,
    kept_by,
    left_out,
    names,
    nothing_new,
)
from lpe.pipeline.jobs.reencrypt import write_reencrypted
from lpe.pipeline.jobs.rotation import log_reencryption
from lpe.pipeline.jobs.spec import CipherChange, JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.keystore import DatasetKey, KeyRef, Registry
from lpe.pipeline.keystore.given_numbers import Claim
from lpe.pipeline.sources import augmented, split_uri
from lpe.pipeline.sources.additions import Additions, Held, check_classes, open_additions, relabelled
from lpe.pipeline.sources.plan import Plan, ReadSpec, check_scope
from lpe.pipeline.sources.prefix import open_appended
from lpe.transforms import ciphers
from lpe.transforms.augment import Augmentation
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.reductions import Chain


@dataclasses.dataclass(frozen=True)
class _Found:
    """What is new in a source.

    Attributes:
      plan: reads it; its ids are right where they are fixed.
      source: digests of the whole that the dataset will be made of.
      contents: of each split, what tells its new images from others, see `Claim`.
      additions: how they were found; None for the new shards of a plain dataset, whose ids are fixed.
    """

    plan: Plan
    source: SourceDigests
    contents: Mapping[str, tuple[str, ...]]
    additions: Additions | None


def append_encrypted(
    spec: JobSpec,
    key: KeyRef,
    given: CipherChange | None = None,
    *,
    hide_labels: bool = False,
    seal: bool = False,
    augmentation: Augmentation | None = None,
    reduction: str | None = None,
    add_labels: bool = False,
) -> JobResult:
    """Writes the next version of an encrypted dataset: its shards as they are, and those of new images.

    Everything about the encryption is as it was. Where the keyset has another primary key by now, the dataset is
    re-encrypted under that first.

    Args:
      spec: its input is any source of images, which may hold the old ones as well, or the plain dataset that was
        encrypted, with what was appended to it since; its home that of the encrypted dataset.
      key: the dataset's keyset.
      given: what the caller takes cipher, parameters and scope to be; others are refused.
      hide_labels: whether class names are taken to be hidden.
      seal: whether images are taken to be sealed.
      augmentation: the copies that there are taken to be.
      reduction: how images are taken to be reduced, see `CipherChoice`; None for as it is.
      add_labels: give classes that only the source has numbers after the others; they are refused otherwise.

    Raises:
      UsageError: an option does not go with the source, the runner or the dataset.
      DataError: the source is missing, damaged or encrypted; the images do not go with the dataset.
      KeyStoreError: the key cannot be had, or other images have had the new ones' numbers.
      BusyError: another job writes at the home.
    """
    started = time.monotonic()
    chain = None if reduction is None else given_chain(reduction)
    spec, key = spec.on_workers(), dataclasses.replace(key, keystore=spec.path_on_workers(key.keystore))
    with held_dataset(spec) as dataset:
        encryption = Encryption.of(dataset, "use lpe ingest --append for plain data")
        if encryption.key_name != key.name:
            raise UsageError(
                f"{dataset.directory}: is under keyset {encryption.key_name!r}; give that as --key"
            )
        _check_given(
            dataset,
            encryption,
            given or CipherChange(),
            augmentation,
            chain,
            hide_labels=hide_labels,
            seal=seal,
        )
        if encryption.unsealed:
            raise DataError(
                f"{dataset.directory}: was unsealed; append to the sealed dataset and unseal that"
            )
        old_key = open_dataset_key(dataset, encryption, key.keystore)
        true_names = encryption.class_names(old_key, dataset.class_names)
        order = key.open().order_secret
        with _found(spec.read, dataset, encryption, old_key, key.keystore, order) as found:
            runners.check_no_temporary(spec.options(), spec.read.source, found.plan.temporary)
            notes = (*found.plan.notes, *(found.additions.notes() if found.additions is not None else ()))
            if not found.plan.tasks:
                _log(dataset, key)  # unless the run that wrote it did
                return nothing_new(dataset, found.additions, notes, time.monotonic() - started)
            _check_labels(dataset, encryption, found.plan, true_names, spec.read, add_labels=add_labels)
            recorded = encryption.reduction
            check_fits(dataset, found.plan, dataset.image_shape if recorded is None else recorded.image_shape)
            notes = (*notes, *decoder_note(dataset, found.plan))
            rotated = key.open().id != encryption.key_id
            before = _under_primary_key(spec, key) if rotated else dataset
            if rotated:
                notes = (
                    *notes,
                    f"re-encrypted first, as {before.version}: the keyset has another primary key",
                )
            plan = dataclasses.replace(found.plan, notes=notes)
            result = _write(spec, key, before, dataclasses.replace(found, plan=plan))
    return dataclasses.replace(result, seconds=time.monotonic() - started, left_out=left_out(found.additions))


def _write(spec: JobSpec, key: KeyRef, dataset: Dataset, found: _Found) -> JobResult:
    """Writes what is new after the version, whose key is the primary one."""
    before = Encryption.of(dataset, "")
    dataset_key = open_dataset_key(dataset, before, key.keystore)
    encryption = with_source(before, dataset_key, found.source)
    true_names = before.class_names(dataset_key, dataset.class_names)
    hidden = before.hidden_class_names is not None
    class_names = (
        dataset.class_names if hidden else check_classes(found.plan.class_names, true_names, "", add=True)
    )
    settings = {
        **append_settings(spec, dataset, found.additions, found.plan),
        "contents": {split: list(contents) for split, contents in found.contents.items()},
    }
    identity = version_identity(
        spec,
        dataclasses.replace(found.plan, dataset=None),
        settings,
        class_names=class_names,
        encrypted=True,
        origin=dataset.origin,
        key=dataset_key,
        format=dataset.format,
    )
    registry = Registry(key.keystore)
    with new_version(spec.home, identity, locked=True) as version:
        registry.record_dataset(key.name, dataset_key.id, version.directory)
        claims = _claims(dataset, found, dataset_key, identity.job)
        given = registry.give_numbers(key.name, dataset_key.id, before.spec.salt, claims)
        new = found.plan
        if found.additions is not None:
            new = found.additions.plan({**_numbers(dataset), **{claim.split: claim.first for claim in given}})
            new = dataclasses.replace(new, notes=found.plan.notes)
        if encryption.reduction is not None:
            new = with_reduced_shape(
                new, open_chain(encryption.reduction, dataset_key, encryption.spec.salt, key.keystore)
            )
            new = reduced(new, DatasetReduction.of(encryption, key.keystore))
        allowed = {claim.split: NumberRange(claim.first, claim.after) for claim in given}
        result = write_version(
            spec,
            appended_plan(dataset, new),
            dataclasses.replace(version, predecessor=Predecessor.of(dataset)),
            conceal=Encrypt(key.keystore, encryption, len(class_names)),
            manifest={**encryption.to_json(), **kept_by(dataset)},
            signer=OwnerSigner(key.keystore, encryption),
            names=_names(dataset, found, HiddenMap(key.keystore, encryption, identity.job)),
            numbers={**_of_copies(dataset, allowed), **allowed},
        )
    _log(result.dataset, key)
    return result


def _names(dataset: Dataset, found: _Found, target: HiddenMap) -> NameKeeper:
    """What keeps the names of the new images, beside those that are kept already."""
    before = HiddenMap.of(dataset, Encryption.of(dataset, ""), target.keystore)
    if found.plan.dataset is not None:
        return CarriedNames(PlainMap.of(found.plan.dataset), target, before)
    return NewNames(target, found.plan.splits, before)


def _log(dataset: Dataset, key: KeyRef) -> None:
    encryption = dataset.encryption or {}
    if "appended_to" in encryption:
        directory = storage.absolute(dataset.directory)
        Registry(key.keystore).log(
            key.name, "dataset encrypted", dataset=directory, key=encryption["key"]["id"]
        )


@contextlib.contextmanager
def _found(
    read: ReadSpec,
    dataset: Dataset,
    encryption: Encryption,
    key: DatasetKey,
    keystore: str,
    order: Callable[[str], bytes],
) -> Iterator[_Found]:
    """Opens a source and finds what is new in it."""
    source = encryption.source(key)
    if source is None:
        raise DataError(f"{dataset.directory}: is of format 1; re-encrypt it first: lpe reencrypt")
    true_names = encryption.class_names(key, dataset.class_names)
    if split_uri(read.source)[0] == "dataset":
        with open_appended(read, dataset, source.digest, _numbers(dataset)) as appended:
            whole = SourceDigests(appended.plan.digest, source.origin)
            plan = relabelled(appended.plan, true_names)
            yield _Found(plan, whole, appended.contents, None)
        return
    check_kept_ids(dataset, keep_ids=read.keep_ids)
    check_scope(read, encryption.spec.scope)
    if read.keep_ids:
        raise UsageError(
            f"{dataset.directory}: its ids are names, and nobody can tell which of them have had a key; "
            "encrypt all of it into another home"
        )
    restore = Decrypt(keystore, encryption, len(dataset.class_names)).open()
    table, images = read_names(dataset, encryption, keystore), named_images(dataset)
    held = Held(true_names, file_digests(table, images), names(table, images), image_tasks(dataset), restore)
    if (reduction := DatasetReduction.of(encryption, keystore)) is not None:
        held = dataclasses.replace(held, reduce=reduction.open())
    with open_additions(read, held, order) as additions:
        plan = additions.plan(_numbers(dataset))
        whole = SourceDigests(chained(source.digest, plan.digest), source.origin)
        yield _Found(plan, whole, {}, additions)


def _claims(dataset: Dataset, found: _Found, key: DatasetKey, job: str) -> list[Claim]:
    """The numbers that the new images have, or are to have."""
    numbers, claims = _numbers(dataset), []
    for split in found.plan.splits:
        first, after = numbers.get(split, 0), found.plan.numbers[split]
        contents = found.contents.get(split)
        images = (job,) if contents is None else tuple(map(key.public_fingerprint, contents))
        claims.append(Claim(split, first, after, images, fixed=contents is not None))
    return claims


def _numbers(dataset: Dataset) -> dict[str, int]:
    return {split: number for split, number in dataset.numbers.items() if number is not None}


def _of_copies(dataset: Dataset, allowed: Mapping[str, NumberRange]) -> dict[str, NumberRange]:
    """Augmented copies have the numbers of what they are copies of."""
    return {copy: numbers for split, numbers in allowed.items() for copy in dataset.copies(split)}


def _under_primary_key(spec: JobSpec, key: KeyRef) -> Dataset:
    """Writes the next version, under the keyset's primary key."""
    whole = dataclasses.replace(spec, read=ReadSpec(f"dataset:{spec.home}"), progress=None)
    result = write_reencrypted(whole, key.keystore, CipherChange())
    log_reencryption(Registry(key.keystore), key.name, result.dataset)
    return open_dataset(spec.home)


def _check_labels(
    dataset: Dataset,
    encryption: Encryption,
    new: Plan,
    true_names: tuple[str, ...],
    read: ReadSpec,
    *,
    add_labels: bool,
) -> None:
    names = check_classes(new.class_names, true_names, read.source, add=add_labels)
    if names != true_names and encryption.hidden_class_names is not None:
        raise DataError(
            f"{dataset.directory}: its class names are hidden by an order of {len(true_names)} classes, to which none "
            "can be added; encrypt all of it into another home"
        )


def _check_given(
    dataset: Dataset,
    encryption: Encryption,
    given: CipherChange,
    augmentation: Augmentation | None,
    chain: Chain | None,
    *,
    hide_labels: bool,
    seal: bool,
) -> None:
    """Refuses what is said of the encryption, and is not so."""
    spec = encryption.spec
    params = ciphers.resolve_params(spec.name, {**spec.params, **given.params})
    steps = dataset.reduction or ""
    copies = None if dataset.augmentation is None else augmented.from_json(dataset.augmentation)
    for option, said, found in (
        ("--cipher", given.name or spec.name, spec.name),
        ("--param", params, ciphers.resolve_params(spec.name, spec.params)),
        ("--scope", given.scope or spec.scope, spec.scope),
        (
            "--hide-labels",
            hide_labels or encryption.hidden_class_names is not None,
            encryption.hidden_class_names is not None,
        ),
        ("--seal", seal or encryption.seal is not None, encryption.seal is not None),
        ("--augment", augmentation or copies, copies),
        ("--reduce", steps if chain is None else str(chain), steps),
    ):
        if said != found:
            raise UsageError(
                f"{option}: {dataset.directory} was encrypted otherwise ({_shown(found)}); leave the option out, or "
                "encrypt into another home"
            )


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={setting}" for name, setting in value.items()) or "no parameters"
    if isinstance(value, Augmentation):
        return f"{','.join(value.kinds)}, {value.copies} copies, seed {value.seed}"
    if value in (None, False, ""):
        return "without"
    return "with it" if value is True else str(value)
