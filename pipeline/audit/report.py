"""The report of an audit: report.json for machines and report.html, a page that needs no network, for people."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.audit import pictures
from lpe.pipeline.audit.quality import MAX_PSNR, Quality
from lpe.pipeline.audit.results import AttackResult, SchemeAudit
from lpe.pipeline.html.page import render
from lpe.transforms import ciphers
from lpe.transforms.attacks.base import Adversary
from lpe.transforms.tables import rows_html

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
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
        rows = [[scheme.target.cipher, scheme.target.scope, scheme.verdict] for scheme in self.schemes]
        return ["cipher", "key per", "verdict"], rows

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
        headings=[*_HEADINGS, *(["same class"] if agreement else []), "seconds"],
        rows=[_row(result) for result in scheme.results],
        floor=[
            ["ciphertext as it is", "", "", *_cells(scheme.ciphertext), ""],
            ["mean colour", "", "", *_cells(scheme.floor), ""],
        ],
        curve=pictures.curves(scheme),
    )


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


def _row(result: AttackResult) -> list[str]:
    figures = [str(result.images), *_cells(result.quality), f"{result.seconds:.1f}"]
    return [result.attack, result.adversary, *figures]


def _cells(quality: Quality) -> list[str]:
    psnr = "∞" if quality.psnr >= MAX_PSNR else f"{quality.psnr:.1f} dB"
    cells = [psnr, f"{quality.ssim:.3f}", f"{quality.mae:.1f}", f"{quality.exact:.1%}"]
    return [*cells, f"{quality.agreement:.0%}"] if quality.agreement is not None else cells


def _title(scheme: SchemeAudit) -> str:
    target = scheme.target
    defaults = ciphers.resolve_params(target.cipher, {})
    changed = [f"{name}={value}" for name, value in target.params.items() if defaults.get(name) != value]
    return ", ".join([target.cipher, *changed, f"one key per {target.scope}"])
