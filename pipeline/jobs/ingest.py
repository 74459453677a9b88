"""ingest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lpe.pipeline import storage
from lpe.pipeline.encryption.batch_transforms import Identity
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.progress import Progress
from lpe.pipeline.jobs.spec import JobResult, JobSpec, reached
from lpe.pipeline.jobs.write import Product, Work, read_settings, run_job
from lpe.pipeline.sources import open_source
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.transforms.errors import DataError

_VALIDATION_FRACTION = "0.1"


def ingest(spec: JobSpec) -> JobResult:
    """Writes the images of any source as a plain dataset, with neutral ids and their map."""
    spec = reached(spec)
    with open_plan(spec.read) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.read.source}: this dataset is encrypted; use lpe decrypt")
        runners.check_no_temporary(spec.options(), spec.read.source, source.temporary)
        settings = {"command": "ingest", "keep_ids": spec.read.keep_ids, **read_settings(spec.read)}
        return run_job(
            spec, source, Product(settings, source.class_names, False, lambda _: Work(Identity(), Identity()))
        )


def ingest_with_validation(
    read: ReadSpec, root: str, beam: Sequence[str], progress: Progress, *, skip_bad_records: bool = False
) -> JobResult:
    """Ingests a source of raw images below `root`, with a validation split: a tenth of train unless there is one.

    Args:
      root: the dataset's home is `<root>/<name>`, with the source's own name.
      beam: Beam's options.
      skip_bad_records: see `JobSpec`.
    """
    # Only looked at here: planning it takes a digest of all that it holds.
    with open_source(read.source, read.options) as source:
        name, splits = source.info.name, source.info.splits
    if read.validation_fraction is None and not splits.get("validation", 0):
        read = dataclasses.replace(read, validation_fraction=_VALIDATION_FRACTION)
    with progress.progress("ingest") as update:
        return ingest(JobSpec(read, storage.join(root, name), beam, skip_bad_records, update))
