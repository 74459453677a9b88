"""ingest, encrypt, decrypt, reencrypt: an input, a stage and an output each, over the one pipeline."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import augmented, output, runners, sealing, shardmap, storage
from pipeline.dataset import INFO_FILE, Dataset, open_dataset
from pipeline.encryption import Encryption, dataset_salt, new_encryption
from pipeline.inputs import Input, ReadSpec, open_input
from pipeline.keystore import KeyStore, Registry
from pipeline.metrics import JobMetrics
from pipeline.output import Output
from pipeline.records import RecordFormat
from pipeline.sources import split_uri
from pipeline.stages import Copy, Decrypt, Encrypt, Stage
from pipeline.work import WriteShard
from transforms import ciphers
from transforms.augment import Augmentation
from transforms.errors import DataError, UsageError
from transforms.keyed import CipherSpec, Scope

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LISTINGS = 5.0  # a bucket's lists are paid for by the thousand


@dataclasses.dataclass(frozen=True)
class JobSpec:
    """What every job that writes a dataset is told.

    Attributes:
      read: the input.
      home: `<root>/<name>`, where the result is committed as the next version.
      skip_bad_records: leave unreadable images out (they are listed), instead of failing.
      beam: Beam's options.
      progress: shows progress; None for none.
      processes: how many work at once.
    """

    read: ReadSpec
    home: str
    beam: PipelineOptions
    skip_bad_records: bool = False
    progress: Progress | None = None
    processes: int = 1


@dataclasses.dataclass(frozen=True)
class KeySpec:
    """Which key: a key store's URI and a keyset's name."""

    keystore: str
    name: str


@dataclasses.dataclass(frozen=True)
class CipherChoice:
    """How to encrypt: cipher, public parameters, key scope, whether class names are hidden and images sealed."""

    name: str
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scope: Scope = "dataset"
    hide_labels: bool = False
    seal: bool = False


@dataclasses.dataclass(frozen=True)
class CipherChange:
    """What `reencrypt` changes besides the key; None, and parameters left out, stay as they are."""

    name: str | None = None
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scope: Scope | None = None


@dataclasses.dataclass(frozen=True)
class JobResult:
    """A committed dataset version, whether this run found it made, and what was counted in making it."""

    dataset: Dataset
    skipped: bool
    seconds: float
    metrics: JobMetrics | None = None

    @property
    def bad_records(self) -> int:
        manifest = self.dataset.manifest or {}
        return int(manifest.get("bad_records", 0))

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that jobs have in common; see DESIGN."""
        out: dict[str, Any] = {
            "status": "skipped" if self.skipped else "ok",
            "seconds": round(self.seconds, 3),
            "dataset": self.dataset.directory,
            "splits": {name: split.summary() for name, split in self.dataset.splits.items()},
            "bad_records": self.bad_records,
        }
        encryption = self.dataset.encryption
        if encryption is not None:
            out["cipher"] = encryption["cipher"]
            out["key"] = {"name": encryption["key"]["name"], "id": encryption["key"]["id"]}
            out["scope"] = encryption["scope"]
        if self.dataset.augmentation is not None:
            out["augmentation"] = dict(self.dataset.augmentation)
        if not self.skipped:
            out["metrics"] = self.metrics.to_json() if self.metrics is not None else None
        return out


def reached(spec: JobSpec) -> JobSpec:
    """The spec with paths as workers reach them. Raises UsageError if the runner's workers cannot."""
    kind, place = split_uri(spec.read.source)
    read = spec.read
    if kind in ("cifar", "dataset", "folder"):
        read = dataclasses.replace(read, source=f"{kind}:{reached_place(spec, place)}")
    return dataclasses.replace(spec, read=read, home=reached_place(spec, spec.home))


def reached_place(spec: JobSpec, place: str) -> str:
    """The same for one path, such as a key store's; see `runners.on_workers`."""
    return runners.on_workers(spec.beam, place)


def ingest(spec: JobSpec) -> JobResult:
    """Writes the images of any source as a plain dataset, with neutral ids and their map."""
    spec = reached(spec)
    with open_input(spec.read) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.read.source}: this dataset is encrypted; use lpe decrypt")
        runners.check_no_temporary(spec.beam, spec.read.source, source.temporary)
        settings = {"command": "ingest", "keep_ids": spec.read.keep_ids, **_read_settings(spec.read)}
        return run_job(
            spec, source, Product(settings, source.class_names, False, lambda _: Work(Copy(), Copy()))
        )


def encrypt(
    spec: JobSpec, choice: CipherChoice, key: KeySpec, augmentation: Augmentation | None = None
) -> JobResult:
    """Encrypts the images of any source, or of an ingested dataset, under the keyset's primary key.

    With an augmentation, copies of the training images are varied, encrypted and written as further splits.
    """
    spec, key = reached(spec), dataclasses.replace(key, keystore=reached_place(spec, key.keystore))
    with open_input(spec.read) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.read.source}: this dataset is encrypted already; decrypt it first")
        runners.check_no_temporary(spec.beam, spec.read.source, source.temporary)
        described = {"augmentation": augmented.to_json(augmentation)} if augmentation is not None else {}
        with_copies = augmented.with_copies(source, augmentation)
        return _encrypt_as(spec, with_copies, choice, key, source.class_names, None, described)


def decrypt(spec: JobSpec, keystore: str) -> JobResult:
    """Restores the plain dataset from an encrypted one; the key is the one that the dataset names."""
    spec, keystore = reached(spec), reached_place(spec, keystore)
    with open_input(spec.read) as source:
        if source.dataset is None or source.dataset.encryption is None:
            raise DataError(f"{spec.read.source}: not an encrypted dataset of lpe's; name one as dataset:DIR")
        encryption = Encryption.from_json(source.dataset.encryption, source.dataset.directory)
        key = encryption.open_key(keystore)
        names = encryption.class_names(key, source.class_names)
        stage = Decrypt(keystore, encryption, len(names))
        product = Product({"command": "decrypt"}, names, False, lambda _: Work(stage, Copy()))
        return run_job(spec, source, product)


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
    with open_input(spec.read) as source:
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
        return _encrypt_as(spec, source, choice, KeySpec(keystore, old.key_name), names, restore, kept)


def changed_cipher(old: Encryption, change: CipherChange) -> CipherChoice:
    """How a dataset is encrypted after a change. Raises CipherError for what the schemes do not know."""
    name = change.name or old.spec.name
    params = {**(old.spec.params if name == old.spec.name else {}), **change.params}
    hidden = old.sealed_class_names is not None
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


def _encrypt_as(
    spec: JobSpec,
    source: Input,
    choice: CipherChoice,
    key: KeySpec,
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
        **_read_settings(spec.read),
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
            return Work(Copy(), conceal, described={**encryption.to_json(), **described})
        check = Decrypt(key.keystore, encryption, len(shown))
        assert source.dataset is not None
        origin = {"version": source.dataset.version, "key": before.encryption.key_id}
        return Work(before, conceal, check, {**encryption.to_json(), **described, "reencrypted_from": origin})

    product = Product(settings, shown, True, work, fmt, restart=before is not None)
    if before is not None:
        return _write_dataset(spec, source, product)
    result = run_job(spec, source, product)
    directory = storage.absolute(result.dataset.directory)
    Registry(key.keystore).log(key.name, "dataset encrypted", dataset=directory, key=primary.id)
    return result


def stored_format(source: Input, choice: CipherChoice) -> tuple[RecordFormat, tuple[int, int, int] | None]:
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
    stored = sealing.sealed_shape(source.image_shape)
    return RecordFormat(stored, "raw", stored[2]), source.image_shape


def _read_settings(spec: ReadSpec) -> dict[str, Any]:
    return {
        "image_size": spec.options.image_size,
        "grey": spec.options.grey,
        "validation_fraction": spec.validation_fraction,
    }


@dataclasses.dataclass(frozen=True)
class Work:
    """What a job does with its images, see `WriteShard`; and what it says of it beside the data."""

    restore: Stage
    conceal: Stage
    check: Stage | None = None
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Product:
    """What a job makes of its input.

    Attributes:
      settings: what, besides the input, makes this job another than others.
      class_names, encrypted: as the dataset will have them.
      make_work: says what is done, once the version is known.
      fmt: how images are stored, if not as they are read.
      restart: an unfinished other job may give way to this one, see `output.begin`.
    """

    settings: Mapping[str, Any]
    class_names: tuple[str, ...]
    encrypted: bool
    make_work: Callable[[Output], Work]
    fmt: RecordFormat | None = None
    restart: bool = False


def run_job(spec: JobSpec, source: Input, product: Product) -> JobResult:
    """Runs a job that writes a dataset's next version."""
    with output.locked(spec.home.rstrip("/")):
        return _write_dataset(spec, source, product)


def _write_dataset(spec: JobSpec, source: Input, product: Product) -> JobResult:
    """Runs a job whose home is locked."""
    started = time.monotonic()
    home = spec.home.rstrip("/")
    job = shardmap.fingerprint(name=storage.base_name(home), source=source.digest, **product.settings)
    begun = output.begin(
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
    counted = shardmap.run(
        source.tasks,
        WriteShard(work.restore, work.conceal, work.check, begun, spec.skip_bad_records),
        shardmap.Commit(begun, manifest, source.splits),
        spec.beam,
        processes=spec.processes,
        watch=_watcher(spec.progress, begun, source) if spec.progress is not None else None,
    )
    seconds = time.monotonic() - started
    return JobResult(open_dataset(begun.directory), skipped=False, seconds=seconds, metrics=counted)


def _watcher(progress: Progress, out: Output, source: Input) -> shardmap.Watch:
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
    return shardmap.Watch(look, _SECONDS_BETWEEN_LISTINGS if remote else _SECONDS_BETWEEN_LOOKS)
