"""What every job is told, and what it gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.engine import runners
from lpe.pipeline.engine.beam_options import beam_options
from lpe.pipeline.engine.metrics import JobMetrics
from lpe.pipeline.engine.progress import Update
from lpe.pipeline.sources import split_uri
from lpe.pipeline.sources.plan import ReadSpec
from lpe.transforms.keyed import Scope


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
    beam: Sequence[str] = ()
    skip_bad_records: bool = False
    progress: Update | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        self.options()

    def options(self) -> PipelineOptions:
        """Beam's options, parsed."""
        return beam_options(self.beam)


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
    return runners.on_workers(spec.options(), place)
