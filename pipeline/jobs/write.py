"""write."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset, open_dataset, writer
from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.pipeline.dataset.writer import Output
from lpe.pipeline.encryption.batch_transforms import BatchTransform, Decrypt, Encrypt, Identity
from lpe.pipeline.encryption.metadata import dataset_salt, new_encryption
from lpe.pipeline.engine import shard_pipeline
from lpe.pipeline.engine.progress import Update
from lpe.pipeline.engine.write_shard import WriteShard
from lpe.pipeline.jobs.spec import CipherChoice, JobResult, JobSpec
from lpe.pipeline.keystore import KeyRef, KeyStore, Registry, data_key
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.sources.plan import Plan, ReadSpec
from lpe.transforms import ciphers
from lpe.transforms.errors import UsageError
from lpe.transforms.keyed import CipherSpec


@dataclasses.dataclass(frozen=True)
class Work:
    """What a job does with its images, see `WriteShard`; and what it says of it beside the data."""

    restore: BatchTransform
    conceal: BatchTransform
    check: BatchTransform | None = None
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Product:
    """What a job makes of its input.

    Attributes:
      settings: what, besides the input, makes this job another than others.
      class_names, encrypted: as the dataset will have them.
      make_work: says what is done, once the version is known.
      fmt: how images are stored, if not as they are read.
      restart: an unfinished other job may give way to this one, see `writer.begin`.
    """

    settings: Mapping[str, Any]
    class_names: tuple[str, ...]
    encrypted: bool
    make_work: Callable[[Output], Work]
    fmt: RecordFormat | None = None
    restart: bool = False


def run_job(spec: JobSpec, source: Plan, product: Product) -> JobResult:
    """Runs a job that writes a dataset's next version."""
    with writer.locked(spec.home.rstrip("/")):
        return write_dataset(spec, source, product)


def write_dataset(spec: JobSpec, source: Plan, product: Product) -> JobResult:
    """Runs a job whose home is locked."""
    started = time.monotonic()
    home = spec.home.rstrip("/")
    job = shard_pipeline.fingerprint(name=storage.base_name(home), source=source.digest, **product.settings)
    begun = writer.begin(
        home,
        fingerprint=job,
        origin=source.origin,
        encrypted=product.encrypted,
        class_names=product.class_names,
        fmt=product.fmt or source.output_format(),
        restart=product.restart,
    )
    if isinstance(begun, Dataset):
        return JobResult(begun, skipped=True, seconds=time.monotonic() - started)
    work = product.make_work(begun)
    manifest = {"job": job, "source_digest": source.digest, "origin": source.origin, **work.described}
    if source.dataset is not None and source.dataset.augmentation is not None:
        manifest["augmentation"] = source.dataset.augmentation  # its splits are copied like all others
    counted = shard_pipeline.run(
        source.tasks,
        WriteShard(work.restore, work.conceal, work.check, begun, spec.skip_bad_records),
        shard_pipeline.Commit(begun, manifest, source.splits),
        spec.options(),
        processes=spec.processes,
        watch=_watcher(spec.progress, begun, source) if spec.progress is not None else None,
    )
    seconds = time.monotonic() - started
    return JobResult(open_dataset(begun.directory), skipped=False, seconds=seconds, metrics=counted)


def _watcher(progress: Update, out: Output, source: Plan) -> shard_pipeline.Watch:
    """Progress from what is on disk: any runner's workers leave a receipt for each finished shard."""
    expected = {
        storage.base_name(out.receipt_path(task.split, task.index)): task.reader.expected()
        for task in source.tasks
    }
    total = sum(expected.values())

    def look() -> None:
        done = sum(expected.get(name, 0) for name in storage.list_names(out.receipts))
        committed = storage.exists(storage.join(out.directory, INFO_FILE))
        progress(total if committed else done, total)

    remote = storage.is_remote(out.home)
    return shard_pipeline.Watch(look, _SECONDS_BETWEEN_LISTINGS if remote else _SECONDS_BETWEEN_LOOKS)


_SECONDS_BETWEEN_LOOKS = 0.5


_SECONDS_BETWEEN_LISTINGS = 5.0  # a bucket's lists are paid for by the thousand


def stored_format(source: Plan, choice: CipherChoice) -> tuple[RecordFormat, tuple[int, int, int] | None]:
    """How encrypted images are stored; their shape within the seal if there is one.

    Raises:
      CipherError: the images' shape does not go with the cipher.
      UsageError: images of many shapes cannot be sealed.
    """
    if source.image_shape is not None:
        params = ciphers.resolve_params(choice.name, choice.params)
        ciphers.scheme(choice.name).check_shape(source.image_shape, params)
    if not choice.seal:
        return source.output_format(), None
    if source.image_shape is None:
        raise UsageError("--seal needs images of one shape; ingest them with --image-size HEIGHTxWIDTH")
    stored = data_key.sealed_shape(source.image_shape)
    return RecordFormat(stored, "raw", stored[2]), source.image_shape


def read_settings(spec: ReadSpec) -> dict[str, Any]:
    return {
        "image_size": spec.options.image_size,
        "grey": spec.options.grey,
        "validation_fraction": spec.validation_fraction,
    }


def encrypt_as(
    spec: JobSpec,
    source: Plan,
    choice: CipherChoice,
    key: KeyRef,
    class_names: tuple[str, ...],
    before: Decrypt | None,
    described: Mapping[str, Any],
) -> JobResult:
    """Encrypts an input whose true class names are `class_names`, after decrypting it if told so.

    `described` is part of what makes the job another than others, and is said beside the data.
    """
    params = ciphers.resolve_params(choice.name, choice.params)
    fmt, sealed_shape = stored_format(source, choice)
    primary = KeyStore(key.keystore).open(key.name)
    settings = {
        "command": "encrypt" if before is None else "reencrypt",
        "cipher": choice.name,
        "params": params,
        "scope": choice.scope,
        "hide_labels": choice.hide_labels,
        "seal": choice.seal,
        "key": [key.name, primary.id],
        "keep_ids": spec.read.keep_ids,
        **read_settings(spec.read),
        **described,
    }
    hidden = class_names if choice.hide_labels else None
    shown = tuple(str(i) for i in range(len(class_names))) if hidden else class_names

    def work(out: Output) -> Work:
        salt = dataset_salt(out.name, out.version, source.digest)
        cipher = CipherSpec(choice.name, salt, choice.scope, params)
        encryption = new_encryption(primary, cipher, hidden, sealed_shape)
        Registry(key.keystore).record_dataset(key.name, primary.id, out.directory)
        conceal = Encrypt(key.keystore, encryption, len(shown))
        if before is None:
            return Work(Identity(), conceal, described={**encryption.to_json(), **described})
        check = Decrypt(key.keystore, encryption, len(shown))
        assert source.dataset is not None
        origin = {"version": source.dataset.version, "key": before.encryption.key_id}
        return Work(before, conceal, check, {**encryption.to_json(), **described, "reencrypted_from": origin})

    product = Product(settings, shown, True, work, fmt, restart=before is not None)
    if before is not None:
        return write_dataset(spec, source, product)
    result = run_job(spec, source, product)
    directory = storage.absolute(result.dataset.directory)
    Registry(key.keystore).log(key.name, "dataset encrypted", dataset=directory, key=primary.id)
    return result
