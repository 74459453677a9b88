"""show: one page of a dataset, a training run, or all that `lpe run` left in its work directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.audit.recorded import HEADINGS, RecordedAudit, RecordedScheme, read_audit
from lpe.pipeline.audit.report import PAGE_FILE
from lpe.pipeline.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.dataset.layout import INFO_FILE
from lpe.pipeline.html.page import render
from lpe.pipeline.jobs.dataset_section import DatasetSection, dataset_section, describe
from lpe.pipeline.jobs.run_section import RunSection, is_run, run_section
from lpe.pipeline.jobs.work_directory import KINDS, audit_directory, run_directory
from lpe.train.runs import RUN_FILE, load_run
from lpe.transforms.errors import DataError, UsageError
from lpe.transforms.tables import properties_html


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that was written.

    Attributes:
      output: its path.
      target: what it is of.
      shows: the titles of its sections.
    """

    output: str
    target: str
    shows: tuple[str, ...]

    def properties(self) -> dict[str, str]:
        """Rows of a summary table."""
        return {"page": self.output, "shows": "; ".join(self.shows)}

    def _repr_html_(self) -> str:
        return properties_html("show", self.properties())

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"output": self.output, "target": self.target, "shows": list(self.shows)}


@dataclasses.dataclass(frozen=True)
class _AuditSection:
    """What the page shows of an audit.

    Attributes:
      recorded: the audit; None if there is none that can be read.
      schemes: the encryptions of it that are shown.
      notice: what else there is to say of it; None for nothing.
    """

    recorded: RecordedAudit | None
    schemes: tuple[RecordedScheme, ...] = ()
    notice: str | None = None


@dataclasses.dataclass(frozen=True)
class _Contents:
    """What a page shows.

    Attributes:
      encryption: the encryption.json of its images; None for plain ones.
      datasets: in order.
      runs: by the kind of images; one run alone has none.
      audit: None where an audit is not spoken of.
    """

    encryption: Mapping[str, Any] | None
    datasets: tuple[DatasetSection, ...] = ()
    runs: Mapping[str, RunSection] = dataclasses.field(default_factory=dict)
    audit: _AuditSection | None = None


def show_page(
    output: str,
    target: str,
    *,
    keystore: str | None = None,
    against: str | None = None,
    audit: str | None = None,
    split: str | None = None,
    count: int = 10,
) -> Page:
    """Writes a page of what one has: by itself, without script, and with no key in it.

    Args:
      output: the path of the page, which ends in .html.
      target: a dataset's home or one of its versions, a run directory of `lpe train`, or a work directory of `lpe run`.
      keystore: with an encrypted dataset: where its key is, to show the plain images too.
      against: with an encrypted dataset: the plain dataset to take the plain images from; by default the one in the
        same work directory.
      audit: the directory of an audit whose verdict is shown; by default the one in the work directory.
      split: of the images that are shown; None for `test`, or else the first one.
      count: how many images: one of each class first.

    Raises:
      UsageError: an output that is no page.
      DataError: the target is none of these, or it or the audit is missing or damaged.
      KeyStoreError: the key cannot be had.
    """
    if Path(output).suffix.lower() != ".html":
        raise UsageError(f"{output}: the page is HTML; give --html a name that ends in .html")
    named = read_audit(audit) if audit is not None else None
    contents = _contents(target, keystore, against, split, count)
    if named is not None:
        contents = dataclasses.replace(contents, audit=_audited(named, contents.encryption))
    storage.write_atomic(output, render("show", target=target, contents=contents, attack_headings=HEADINGS))
    shown = [section.title for section in contents.datasets]
    shown += [section.title for section in contents.runs.values()]
    if contents.audit is not None and contents.audit.recorded is not None:
        shown.append(contents.audit.recorded.page)
    return Page(output, target, tuple(shown))


def _contents(
    target: str, keystore: str | None, against: str | None, split: str | None, count: int
) -> _Contents:
    if storage.exists(storage.join(target, INFO_FILE)) or committed_versions(target):
        data = open_dataset(target)
        section = dataset_section(data, keystore, against, split, count)
        return _Contents(data.encryption, datasets=(section,))
    if storage.exists(storage.join(target, PAGE_FILE)):
        raise DataError(f"{target}: holds a report with a page of its own, {storage.join(target, PAGE_FILE)}")
    datasets = {kind: list(_datasets(storage.join(target, kind))) for kind in KINDS}
    runs = {kind: run_directory(target, kind) for kind in KINDS}
    runs = {kind: path for kind, path in runs.items() if is_run(path)}
    if any(datasets.values()) or runs:
        sections = tuple(_work_sections(datasets, keystore, against, split, count))
        encryption = datasets["encrypted"][0].encryption if datasets["encrypted"] else None
        return _Contents(
            encryption,
            sections,
            {kind: run_section(path) for kind, path in runs.items()},
            _audit_beside(target, encryption),
        )
    if is_run(target):
        finished = storage.exists(storage.join(target, RUN_FILE))
        encryption = load_run(target).encryption if finished else None
        return _Contents(encryption, runs={"": run_section(target)})
    raise DataError(
        f"{target}: neither a dataset, nor a run of `lpe train`, nor a work directory of `lpe run`; check the path"
    )


def _datasets(folder: str) -> Iterator[Dataset]:
    """The datasets whose homes are in a folder, each in its newest version."""
    for name in sorted(storage.list_names(folder)):
        home = storage.join(folder, name)
        if committed_versions(home):
            yield open_dataset(home)


def _work_sections(
    datasets: Mapping[str, list[Dataset]],
    keystore: str | None,
    against: str | None,
    split: str | None,
    count: int,
) -> Iterator[DatasetSection]:
    """The sections of a work directory's datasets; images of the plain one are beside their ciphertexts."""
    plain = {data.name: data for data in datasets["plain"]}
    shown = set()
    for data in datasets["encrypted"]:
        beside = plain[data.name].directory if data.name in plain and keystore is None else None
        yield dataset_section(data, keystore, against or beside, split, count)
        shown.add(data.name)
    for data in datasets["plain"]:
        yield describe(data) if data.name in shown else dataset_section(data, None, None, split, count)


def _audit_beside(work: str, encryption: Mapping[str, Any] | None) -> _AuditSection | None:
    """The audit in a work directory; of a missing or damaged one, what to do about it."""
    directory = audit_directory(work)
    if not storage.exists(storage.join(directory, PAGE_FILE)):
        return _AuditSection(None, notice="No audit yet: see lpe audit --help.") if encryption else None
    try:
        return _audited(read_audit(directory), encryption)
    except DataError as error:
        return _AuditSection(None, notice=str(error))


def _audited(audit: RecordedAudit, encryption: Mapping[str, Any] | None) -> _AuditSection:
    """What an audit says of an encryption; all that it says, where it says nothing of that or there is none."""
    if encryption is None:
        return _AuditSection(audit, audit.schemes)
    params = encryption["params"]
    same = tuple(
        scheme
        for scheme in audit.schemes
        if (scheme.cipher, scheme.scope, scheme.reduction)
        == (encryption["cipher"], encryption["scope"], _steps(encryption.get("reduction")))
        and all(params.get(name, value) == value for name, value in scheme.params.items())
    )
    if same:
        return _AuditSection(audit, same)
    return _AuditSection(
        audit, audit.schemes, "This audit is of other encryptions than that of these images."
    )


def _steps(reduction: Any) -> str:
    """The steps of an encryption.json's reduction; empty where there is none."""
    return str(reduction.get("steps", "")) if isinstance(reduction, Mapping) else ""
