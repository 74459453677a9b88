"""append: the images of a source that a plain dataset does not hold yet, as its next version."""

from __future__ import annotations

import dataclasses
import time

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.predecessor import Predecessor
from lpe.pipeline.dataset.writer import new_version
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
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.jobs.write import version_identity, write_version
from lpe.pipeline.sources.additions import Held, check_classes, open_additions
from lpe.transforms.errors import DataError


def append(spec: JobSpec, *, add_labels: bool = False) -> JobResult:
    """Writes the next version of a plain dataset: its shards as they are, and those of new images.

    Args:
      spec: its input is any source, which may hold the old images as well; its home that of the dataset.
      add_labels: give classes that only the source has numbers after the others; they are refused otherwise.

    Raises:
      UsageError: an option does not go with the source, the runner or the dataset.
      DataError: the source is missing or damaged; the dataset is encrypted, or the images do not go with it.
      BusyError: another job writes at the home.
    """
    started = time.monotonic()
    spec = spec.on_workers()
    with held_dataset(spec) as dataset:
        if dataset.encrypted:
            raise DataError(f"{dataset.directory}: this dataset is encrypted; use lpe encrypt --append")
        check_kept_ids(dataset, keep_ids=spec.read.keep_ids)
        before = Predecessor.of(dataset)
        with open_additions(spec.read, _held(dataset, before)) as additions:
            new = additions.plan({split: number or 0 for split, number in dataset.numbers.items()})
            runners.check_no_temporary(spec.options(), spec.read.source, new.temporary)
            notes = (*new.notes, *additions.notes())
            if not additions.images:
                return nothing_new(dataset, additions, notes, time.monotonic() - started)
            class_names = check_classes(
                new.class_names, dataset.class_names, spec.read.source, add=add_labels
            )
            check_fits(dataset, new, dataset.image_shape)
            settings = append_settings(spec, dataset, additions, new)
            identity = version_identity(
                spec,
                new,
                settings,
                class_names=class_names,
                encrypted=False,
                origin=dataset.origin,
                format=dataset.format,
            )
            plan = dataclasses.replace(
                appended_plan(dataset, new), notes=(*notes, *decoder_note(dataset, new))
            )
            with new_version(spec.home, identity, locked=True) as version:
                result = write_version(
                    spec,
                    plan,
                    dataclasses.replace(version, predecessor=before),
                    manifest={**kept_by(dataset), "source_digest": _source_digest(dataset, new.digest)},
                )
    return dataclasses.replace(result, seconds=time.monotonic() - started, left_out=left_out(additions))


def _source_digest(dataset: Dataset, added: str) -> str:
    assert dataset.manifest is not None
    return chained(str(dataset.manifest.content.get("source_digest", "")), added)


def _held(dataset: Dataset, before: Predecessor) -> Held:
    table, images = before.id_map(), before.examples
    return Held(
        dataset.class_names,
        file_digests(table, images),
        names(table, images),
        image_tasks(dataset),
        lambda batch: batch,
    )
