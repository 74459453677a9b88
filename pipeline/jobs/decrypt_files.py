"""decrypt --as-files: the images of an encrypted dataset as PNG files with their original names."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.encryption.authentication import open_dataset_key
from lpe.pipeline.encryption.batch_transforms import Decrypt
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.names import HiddenMap
from lpe.pipeline.engine import execution, runners
from lpe.pipeline.engine.check_shard import check_all
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.write_files import WriteFiles
from lpe.pipeline.jobs.decrypt import NO_NAMES
from lpe.pipeline.jobs.reducing import reduced_note
from lpe.pipeline.jobs.spec import JobSpec
from lpe.pipeline.sources.plan import open_plan
from lpe.pipeline.storage.documents import read_document
from lpe.transforms.errors import DataError
from lpe.transforms.tables import properties_html

_MARK = ".lpe.json"
"""The file that says which version's images a directory holds."""


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """The images of a dataset, written as files.

    Attributes:
      directory: where they are: `SPLIT/CLASS/NAME.png` in it.
      dataset: the encrypted version.
      images: how many there are.
      seconds: what this run took.
      notes: what its user should know.
      metrics: what was counted; None where the runner does not tell.
    """

    directory: str
    dataset: Dataset
    images: int
    seconds: float
    notes: tuple[str, ...] = ()
    metrics: JobMetrics | None = None

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        rows = {"dataset": self.dataset.directory, "files": f"{self.images:,} PNG in {self.directory}"}
        if self.metrics is not None:
            rows["work"] = str(self.metrics)
        return {**rows, "time": f"{self.seconds:.1f} s"}

    def _repr_html_(self) -> str:
        return properties_html(self.directory, self.properties())

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that is its own."""
        return {
            "seconds": round(self.seconds, 3),
            "dataset": self.dataset.directory,
            "directory": self.directory,
            "images": self.images,
            "notes": list(self.notes),
            "metrics": self.metrics.to_json() if self.metrics is not None else None,
        }


def decrypt_files(spec: JobSpec, keystore: str) -> ImageFiles:
    """Writes the images of an encrypted dataset as PNG files, pixel for pixel what was encrypted.

    A job that was killed is run again with the same arguments: files that are there stay. Augmented copies are left
    out.

    Args:
      spec: its input is the encrypted dataset, `dataset:DIR`; its home the directory for the files.
      keystore: the key store's URI.

    Raises:
      DataError: the input is no encrypted dataset of lpe's, or is damaged; the directory holds something else.
      KeyStoreError: the key cannot be had, or is another one.
    """
    started = time.monotonic()
    runners.check_waited_for(spec.options(), "decrypt --as-files")
    spec, keystore = spec.on_workers(), spec.path_on_workers(keystore)
    with open_plan(spec.read) as plan:
        encryption = Encryption.of(plan.dataset, "name one as dataset:DIR", spec.read.source)
        assert plan.dataset is not None  # it has an encryption
        dataset = plan.dataset
        key = open_dataset_key(dataset, encryption, keystore)
        class_names = encryption.class_names(key, plan.class_names)
        names = HiddenMap.of(dataset, encryption, keystore)
        copies = dataset.copy_splits
        tasks = [task for task in plan.tasks if task.split not in copies]
        notes: tuple[str, ...] = () if names.exists() else (f"{NO_NAMES}; the files are called by ids",)
        if copies:
            notes += (f"{len(copies)} splits of augmented copies were left out",)
        notes += reduced_note(dataset)
        _mark(spec.home, dataset)
        metrics = execution.run(
            tasks,
            WriteFiles(Decrypt(keystore, encryption, len(class_names)), spec.home, class_names, names),
            check_all,
            spec.options(),
            processes=spec.processes,
            size=plan.bytes,
        )
    images = sum(task.reader.expected() for task in tasks)
    return ImageFiles(spec.home, dataset, images, time.monotonic() - started, notes, metrics)


def _mark(directory: str, dataset: Dataset) -> None:
    """Marks a directory as that of a dataset's files. Raises DataError if it holds anything else."""
    mark = storage.join(directory, _MARK)
    value = {"job": dataset.manifest.job if dataset.manifest is not None else "", "version": dataset.version}
    if storage.exists(mark):
        fields = read_document(mark, "name another directory")
        if (fields.text("job"), fields.text("version")) != (value["job"], value["version"]):
            raise DataError(f"{directory}: holds the files of another dataset; name another directory")
        return
    if not storage.is_remote(directory) and Path(directory).is_file():
        raise DataError(f"{directory}: a file; name a directory that is new or empty")
    if storage.list_names(directory):
        raise DataError(f"{directory}: holds other files; name a directory that is new or empty")
    storage.write_atomic(mark, json.dumps(value).encode())
