"""ingest: the images of any source as a plain dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lpe.pipeline import storage
from lpe.pipeline.dataset.writer import new_version
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.progress import Progress
from lpe.pipeline.jobs.spec import JobResult, JobSpec
from lpe.pipeline.jobs.write import read_settings, version_identity, write_version
from lpe.pipeline.sources import open_source
from lpe.pipeline.sources.plan import ReadSpec, open_plan

_VALIDATION_FRACTION = "0.1"


def ingest(spec: JobSpec) -> JobResult:
    """Writes the images of any source as a plain dataset, with neutral ids and their map.

    Raises:
      UsageError: an option does not go with the source or the runner.
      DataError: the source is missing, damaged or an encrypted dataset; the home holds something else.
      BusyError: another job writes at the home.
    """
    spec = spec.on_workers()
    with open_plan(spec.read) as plan:
        plan.require_plain("use lpe decrypt")
        runners.check_no_temporary(spec.options(), spec.read.source, plan.temporary)
        settings = {"command": "ingest", "keep_ids": spec.read.keep_ids, **read_settings(spec.read)}
        identity = version_identity(spec, plan, settings, class_names=plan.class_names, encrypted=False)
        with new_version(spec.home, identity) as version:
            return write_version(spec, plan, version)


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
