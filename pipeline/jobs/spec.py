"""The inputs and results that jobs have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.progress import Update
from lpe.pipeline.records import FileFormat
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.errors import UsageError
from lpe.transforms.keyed import Scope
from lpe.transforms.tables import properties_html

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


@dataclasses.dataclass(frozen=True)
class JobSpec:
    """The part of a job's specification that every job has that writes a dataset.

    Attributes:
      read: the input.
      home: `<root>/<name>`, where the result is committed as the next version.
      beam: Beam's options as words of a command line, e.g. `("--runner=DataflowRunner", "--region=…")`; none
        run the job on this machine.
      skip_bad_records: leave unreadable images out (they are listed), instead of failing.
      progress: called now and then with images done and images in all; None for no progress.
      processes: how many processes work at once on this machine; None for as many as the job pays for, and cores and
        memory allow.
      file_format: the kind of files that `ingest`, `encrypt` and `decrypt` write, None for TFRecord; other jobs keep
        what is there.

    Raises:
      UsageError: neither `lpe` nor Beam knows one of the options, or a number of processes goes with them.
      DataError: the options name a job service that does not answer.
    """

    read: ReadSpec
    home: str
    beam: Sequence[str] = ()
    skip_bad_records: bool = False
    progress: Update | None = None
    processes: int | None = None
    file_format: FileFormat | None = None

    def __post_init__(self) -> None:
        check_processes(self.processes, self.options())

    def options(self) -> PipelineOptions | None:
        """Beam's options, parsed; None if there are none."""
        return runners.options(self.beam)

    def on_workers(self) -> JobSpec:
        """The spec with paths as workers reach them. Raises UsageError if the runner's workers cannot."""
        kind, place = split_uri(self.read.source)
        read = self.read
        if kind in ("cifar", "dataset", "folder", "parquet"):
            read = dataclasses.replace(read, source=f"{kind}:{self.path_on_workers(place)}")
        if read.data_key is not None:
            read = dataclasses.replace(read, data_key=self.path_on_workers(read.data_key))
        return dataclasses.replace(self, read=read, home=self.path_on_workers(self.home))

    def path_on_workers(self, path: str) -> str:
        """One path, such as a key store's, as workers reach it; see `runners.on_workers`."""
        return runners.on_workers(self.options(), path)


def check_processes(processes: int | None, options: PipelineOptions | None) -> None:
    """Raises UsageError for a number of processes where a runner of Beam's decides about that."""
    if processes is not None and options is not None:
        raise UsageError(
            f"--workers {processes}: is for jobs on this machine without Beam; {runners.name(options)} has "
            "options of its own, such as --num_workers"
        )


@dataclasses.dataclass(frozen=True)
class CipherChoice:
    """How a job encrypts.

    Attributes:
      name: the cipher, one of `lpe.ciphers.names()`.
      params: its public parameters; those left out take their defaults.
      scope: one key for the `dataset`, or one per `image`.
      hide_labels: replace class names by permuted numbers.
      seal: also wrap each encrypted image in AES-256-GCM.
      reduction: what is done to the images before, as `lpe.transforms.reductions.parse` reads it; empty for nothing.
    """

    name: str
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scope: Scope = "dataset"
    hide_labels: bool = False
    seal: bool = False
    reduction: str = ""


@dataclasses.dataclass(frozen=True)
class CipherChange:
    """The changes that a re-encryption makes besides the key's.

    Attributes:
      name, params, scope: as in `CipherChoice`; None, and parameters left out, stay as they are.
    """

    name: str | None = None
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scope: Scope | None = None


@dataclasses.dataclass(frozen=True)
class JobResult:
    """The result of a job that writes a dataset.

    Attributes:
      dataset: the committed version.
      skipped: an earlier run of this very job had committed it.
      seconds: what this run took.
      metrics: what was counted; None where the runner does not tell, or nothing was done.
      notes: what its user should know of the input: what was passed over, a line for each kind, with counts.
      left_out: how many images a job that appends left out, since they are `known` in the dataset, or `repeated`; None
        for other jobs.
    """

    dataset: Dataset
    skipped: bool
    seconds: float
    metrics: JobMetrics | None = None
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] | None = None

    @property
    def bad_records(self) -> int:
        """Images that were left out because they cannot be read."""
        return self.dataset.manifest.bad_records if self.dataset.manifest is not None else 0

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        rows = self.dataset.properties()
        if self.bad_records:
            rows["skipped"] = f"{self.bad_records:,} bad records, listed in bad_records.jsonl"
        if self.metrics is not None:
            rows["work"] = str(self.metrics)
        rows["time"] = "nothing to do" if self.skipped else f"{self.seconds:.1f} s"
        return rows

    def _repr_html_(self) -> str:
        return properties_html(f"{self.dataset.name} {self.dataset.version}", self.properties())

    def to_json(self) -> dict[str, Any]:
        """The part of `--json` that jobs have in common; see DESIGN."""
        value: dict[str, Any] = {
            "status": "skipped" if self.skipped else "ok",
            "seconds": round(self.seconds, 3),
            "dataset": self.dataset.directory,
            "splits": {name: split.summary() for name, split in self.dataset.splits.items()},
            "bad_records": self.bad_records,
            "notes": list(self.notes),
        }
        if self.left_out is not None:
            value["left_out"] = dict(self.left_out)
        if self.dataset.class_counts is not None:
            value["classes"] = self.dataset.class_counts
        encryption = self.dataset.encryption
        if encryption is not None:
            value["cipher"] = encryption["cipher"]
            value["key"] = {"name": encryption["key"]["name"], "id": encryption["key"]["id"]}
            value["scope"] = encryption["scope"]
        if self.dataset.reduction is not None:
            value["reduction"] = self.dataset.reduction
        if self.dataset.augmentation is not None:
            value["augmentation"] = dict(self.dataset.augmentation)
        if not self.skipped:
            value["metrics"] = self.metrics.to_json() if self.metrics is not None else None
        return value
