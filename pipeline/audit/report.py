"""The report of an audit: report.json for machines and report.html, a page that needs no network, for people."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.audit import pictures
from lpe.pipeline.audit.quality import MAX_PSNR, Quality
from lpe.pipeline.audit.results import AttackResult, Reidentification, SchemeAudit
from lpe.pipeline.html.page import render
from lpe.transforms import ciphers
from lpe.transforms.attacks.base import Adversary
from lpe.transforms.tables import rows_html

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
FOUND = "right photograph first"
"""The heading of what `found` says."""
_HEADINGS = ("attack", "adversary", "images", "PSNR", "SSIM", "MAE", "exact")
_GALLERY: tuple[Adversary, ...] = ("ciphertext-only", "learned", "known-plaintext", "chosen-plaintext")


@dataclasses.dataclass(frozen=True)
class AuditReport:
    """An audit of one or several encryptions of the same images.

    Attributes:
      output: the directory of the report.
      source: where the images came from, as it was named.
      images: how many there were.
      schemes: each encryption, attacked.
    """

    output: str
    source: str
    images: int
    schemes: tuple[SchemeAudit, ...]

    @property
    def page(self) -> str:
        """The path of report.html."""
        return storage.join(self.output, PAGE_FILE)

    @property
    def title(self) -> str:
        """What was attacked."""
        return f"{self.source}, {self.images:,} images"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of a summary table."""
        rows = [
            [_name(scheme), scheme.target.scope, found(scheme.reidentification), scheme.verdict]
            for scheme in self.schemes
        ]
        return ["encryption", "key per", FOUND, "verdict"], rows

    def _repr_html_(self) -> str:
        return rows_html(self.title, *self.table())

    def content(self) -> dict[str, Any]:
        """The content of report.json."""
        return {
            "source": self.source,
            "images": self.images,
            "schemes": [scheme.to_json() for scheme in self.schemes],
        }

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"output": self.output, **self.content()}


def write(report: AuditReport) -> None:
    """Writes report.json and report.html to the report's directory.

    Raises:
      UsageError: matplotlib is not installed.
    """
    text = json.dumps(report.content(), indent=2) + "\n"
    storage.write_atomic(storage.join(report.output, REPORT_FILE), text.encode())
    storage.write_atomic(report.page, _page(report))


@dataclasses.dataclass(frozen=True)
class _Section:
    """An encryption's part of the page.

    Attributes:
      title: the encryption.
      anchor: the part's own, for links.
      verdict: see `SchemeAudit`.
      gallery: a PNG, images above what attacks made of their ciphertexts.
      shown: its rows, from the top.
      headings: of the table.
      rows: an attack each.
      floor: rows of what was reached without an attack.
      curve: a PNG, quality against number of images; None where no attack was tried with several numbers.
      learnt_from: what attacks on a reduction had besides; empty where there is none.
      bound: what no attack exceeds, and under which assumptions; empty where that is not known.
    """

    title: str
    anchor: str
    verdict: str
    gallery: bytes
    shown: str
    headings: list[str]
    rows: list[list[str]]
    floor: list[list[str]]
    curve: bytes | None
    learnt_from: str
    bound: str


def _page(report: AuditReport) -> bytes:
    return render("audit", report=report, sections=[_section(scheme) for scheme in report.schemes])


def _section(scheme: SchemeAudit) -> _Section:
    title = _title(scheme)
    agreement = any(result.quality.agreement is not None for result in scheme.results)
    images, shown = _gallery(scheme)
    return _Section(
        title=title,
        anchor=title.replace(" ", "-").replace(",", ""),
        verdict=scheme.verdict,
        gallery=pictures.side_by_side(images),
        shown="; ".join(shown),
        headings=[*_HEADINGS, *(["same class"] if agreement else []), FOUND, "seconds"],
        rows=[_row(result) for result in scheme.results],
        floor=_floor(scheme),
        curve=pictures.curves(scheme),
        learnt_from=f"Attacks on the reduction learnt from {scheme.public:,} public images."
        if scheme.public
        else "",
        bound=_bound(scheme),
    )


def _bound(scheme: SchemeAudit) -> str:
    if scheme.bound is None:
        return ""
    return f"No attack exceeds {scheme.bound.psnr_at_most:.1f} dB. {scheme.bound.assumptions}."


def _gallery(scheme: SchemeAudit) -> tuple[list[np.ndarray], list[str]]:
    """Rows of images, and what each row shows."""
    rows, names = [scheme.plain, scheme.encrypted], ["the images", "their ciphertexts"]
    for adversary in _GALLERY:
        best = scheme.best(adversary)
        if best is not None:
            rows.append(best.restored)
            names.append(
                f"{best.attack} ({adversary}, {best.images} {'image' if best.images == 1 else 'images'})"
            )
    return rows, names


def _floor(scheme: SchemeAudit) -> list[list[str]]:
    """Rows of what was reached without an attack, and of what a guess reaches."""
    as_it_is, by_statistics = scheme.without_attack or (None, None)
    rows = [["ciphertext as it is", "", "", *_cells(scheme.ciphertext), found(as_it_is), ""]]
    if by_statistics is not None:
        nothing = [""] * len(_cells(scheme.ciphertext))
        rows.append([f"its {by_statistics.by}", "", "", *nothing, found(by_statistics), ""])
    guess = "" if as_it_is is None else f"{as_it_is.floor:.1%}"
    if scheme.bound is not None:
        others = [""] * (len(_cells(scheme.ciphertext)) - 1)
        rows.append(["bound for all attacks", "", "", f"{scheme.bound.psnr_at_most:.1f} dB", *others, "", ""])
    return [*rows, ["mean colour, a guess", "", "", *_cells(scheme.floor), guess, ""]]


def found(reidentification: Reidentification | None) -> str:
    """How often the right photograph is ranked first, and its median rank where that is not first."""
    if reidentification is None:
        return ""
    median = reidentification.median
    return f"{reidentification.first:.0%}" + (f" (median {median:,.0f})" if median > 1 else "")


def _row(result: AttackResult) -> list[str]:
    figures = [str(result.images), *_cells(result.quality), found(result.reidentification)]
    return [result.attack, result.adversary, *figures, f"{result.seconds:.1f}"]


def _cells(quality: Quality) -> list[str]:
    psnr = "∞" if quality.psnr >= MAX_PSNR else f"{quality.psnr:.1f} dB"
    cells = [psnr, f"{quality.ssim:.3f}", f"{quality.mae:.1f}", f"{quality.exact:.1%}"]
    return [*cells, f"{quality.agreement:.0%}"] if quality.agreement is not None else cells


def _title(scheme: SchemeAudit) -> str:
    return f"{_name(scheme)}, one key per {scheme.target.scope}"


def _name(scheme: SchemeAudit) -> str:
    """The reduction if there is one, the cipher, and its parameters that are not as usual."""
    target = scheme.target
    reduction = [str(target.reduction)] if target.reduction else []
    defaults = ciphers.resolve_params(target.cipher, {})
    changed = [f"{name}={value}" for name, value in target.params.items() if defaults[name] != value]
    return ", ".join([*reduction, target.cipher, *changed])
