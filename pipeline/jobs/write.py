"""The part that all jobs share that write a dataset: its identity, its shards, its commit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.dataset.numbers import NumberRange
from lpe.pipeline.dataset.writer import NewVersion, VersionIdentity
from lpe.pipeline.encryption.authentication import Signer
from lpe.pipeline.encryption.batch_transforms import BatchTransform, Identity
from lpe.pipeline.encryption.names import NameKeeper
from lpe.pipeline.engine import execution
from lpe.pipeline.engine.commit import Commit
from lpe.pipeline.engine.progress import Update
from lpe.pipeline.engine.watch import Watch
from lpe.pipeline.engine.write_shard import WriteShard
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.sources.plan import Plan, ReadSpec

NOTHING_NEW = "nothing is new: no version was written"
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LISTINGS = 5.0  # a bucket's lists are paid for by the thousand


def version_identity(
    spec: JobSpec,
    plan: Plan,
    settings: Mapping[str, Any],
    *,
    class_names: tuple[str, ...],
    encrypted: bool,
    origin: str | None = None,
    key: DatasetKey | None = None,
    format: RecordFormat | None = None,
    restartable: bool = False,
) -> VersionIdentity:
    """The identity of what a job makes of its input: everything that decides which bytes come out.

    Args:
      settings: what, besides the input and the dataset's name, makes this job another than others; JSON values.
      class_names, encrypted: as the dataset will have them.
      origin: what will stand for the first source of the images; None for what stands for it in the input.
      key: the key that images are encrypted under: the published fingerprint is keyed, so that nobody can confirm a
        guess at the input.
      format: how images are stored; None for how they are read, in the kind of files that the job is to write.
      restartable: see `VersionIdentity`.
    """
    described = {
        "name": storage.base_name(spec.home.rstrip("/")),
        "source": plan.digest,
        "class_names": plan.class_names,
        **settings,
    }
    format = format or plan.output_format(spec.file_format or "tfrecord")
    if format.file_format != "tfrecord":
        described["file_format"] = format.file_format
    if plan.dataset is not None:
        # The same shards read in another way are other images, which must not meet the same keys.
        read = dataclasses.asdict(plan.dataset.format)
        del read["file_format"]  # the digest of the shards tells that
        described["read"] = read
    fingerprint = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return VersionIdentity(
        job=fingerprint if key is None else key.public_fingerprint(fingerprint),
        origin=origin or plan.origin,
        encrypted=encrypted,
        class_names=class_names,
        format=format,
        restartable=restartable,
    )


def read_settings(spec: ReadSpec) -> dict[str, Any]:
    """The settings of reading that are part of a job's identity."""
    return {
        **spec.options.pixel_settings(),
        "image_key": spec.options.image_key,
        "label_key": spec.options.label_key,
        "validation_fraction": spec.validation_fraction,
    }


def write_version(
    spec: JobSpec,
    plan: Plan,
    version: NewVersion,
    *,
    restore: BatchTransform | None = None,
    conceal: BatchTransform | None = None,
    check: BatchTransform | None = None,
    manifest: Mapping[str, Any] | None = None,
    signer: Signer | None = None,
    names: NameKeeper | None = None,
    numbers: Mapping[str, NumberRange] | None = None,
) -> JobResult:
    """Writes and commits a version, unless this very job has committed it before.

    Args:
      plan: the input.
      version: from `new_version`, whose block is not left yet.
      restore, conceal, check: see `WriteShard`; by default images stay as they are.
      manifest: goes into manifest.json or encryption.json, besides what all jobs record.
      signer: makes the MACs of an encrypted version.
      names: keeps the original names of the images, where the version itself does not.
      numbers: see `WriteShard`.

    Raises:
      ShardsFailedError: shards could not be done.
      JobStaged: the options ask for a template; it was staged, and nothing is run.
      DataError: the job failed for another reason.
    """
    started = time.monotonic()
    if version.committed is not None:
        return JobResult(
            version.committed, skipped=True, seconds=time.monotonic() - started, notes=plan.notes
        )
    recorded: dict[str, Any] = {"job": version.identity.job, "origin": version.identity.origin}
    if not version.identity.encrypted:
        recorded["source_digest"] = plan.digest
    recorded["numbers"] = dict(plan.numbers)
    if plan.reading is not None:
        recorded["reading"] = dict(plan.reading)
    recorded.update(manifest or {})
    if plan.dataset is not None and plan.dataset.augmentation is not None:
        recorded["augmentation"] = plan.dataset.augmentation  # its splits are copied like all others
    metrics = execution.run(
        plan.tasks,
        WriteShard(
            restore or Identity(),
            conceal or Identity(),
            check,
            version,
            spec.skip_bad_records,
            signer,
            names,
            numbers,
        ),
        Commit(version, recorded, plan.splits, signer, names),
        spec.options(),
        processes=spec.processes,
        size=plan.bytes,
        watch=_watch(spec.progress, version, plan) if spec.progress is not None else None,
    )
    seconds = time.monotonic() - started
    if version.predecessor is not None and not version.is_committed():
        before = open_dataset(version.predecessor.directory)
        return JobResult(before, skipped=True, seconds=seconds, notes=(*plan.notes, NOTHING_NEW))
    dataset = open_dataset(version.directory)
    return JobResult(dataset, skipped=False, seconds=seconds, metrics=metrics, notes=plan.notes)


def _watch(update: Update, version: NewVersion, plan: Plan) -> Watch:
    """Progress from what is on disk: any runner's workers leave a receipt for each finished shard."""
    expected = {
        storage.base_name(version.receipt_path(task.split, task.index)): task.reader.expected()
        for task in plan.tasks
    }
    total = sum(expected.values())

    def look() -> None:
        done = sum(expected.get(name, 0) for name in storage.list_names(version.receipts))
        update(total if version.is_committed() else done, total)

    remote = storage.is_remote(version.home)
    return Watch(look, _SECONDS_BETWEEN_LISTINGS if remote else _SECONDS_BETWEEN_LOOKS)
