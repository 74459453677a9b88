"""ingest."""

from __future__ import annotations

from lpe.pipeline.encryption.batch_transforms import Identity
from lpe.pipeline.engine import runners
from lpe.pipeline.jobs.spec import JobResult, JobSpec, reached
from lpe.pipeline.jobs.write import Product, Work, read_settings, run_job
from lpe.pipeline.sources.plan import open_plan
from lpe.transforms.errors import DataError


def ingest(spec: JobSpec) -> JobResult:
    """Writes the images of any source as a plain dataset, with neutral ids and their map."""
    spec = reached(spec)
    with open_plan(spec.read) as source:
        if source.dataset is not None and source.dataset.encrypted:
            raise DataError(f"{spec.read.source}: this dataset is encrypted; use lpe decrypt")
        runners.check_no_temporary(spec.beam, spec.read.source, source.temporary)
        settings = {"command": "ingest", "keep_ids": spec.read.keep_ids, **read_settings(spec.read)}
        return run_job(
            spec, source, Product(settings, source.class_names, False, lambda _: Work(Identity(), Identity()))
        )
