"""Reports of audits, read again: report.json as `report.write` left it, or as somebody else did."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lpe.pipeline import storage
from lpe.pipeline.audit.quality import MAX_PSNR
from lpe.pipeline.audit.report import FOUND, PAGE_FILE, REPORT_FILE, found
from lpe.pipeline.audit.results import Reidentification
from lpe.pipeline.storage.documents import Fields, read_document
from lpe.transforms.errors import DataError

HEADINGS = ("attack", "adversary", "images", "PSNR", "SSIM", "exact", FOUND)
_REMEDY = "run `lpe audit` again"


@dataclasses.dataclass(frozen=True)
class RecordedScheme:
    """An encryption that was attacked.

    Attributes:
      cipher, params, scope: see `lpe.transforms.attacks.base.Target`.
      reduction: as `lpe.transforms.reductions.parse` reads it; empty for none.
      verdict: in words.
      attacks: rows of a table, below `HEADINGS`.
    """

    cipher: str
    params: Mapping[str, str]
    scope: str
    reduction: str
    verdict: str
    attacks: tuple[tuple[str, ...], ...]

    @property
    def title(self) -> str:
        """The encryption in words."""
        reduced = f"{self.reduction}, " if self.reduction else ""
        return f"{reduced}{self.cipher}, one key per {self.scope}"


@dataclasses.dataclass(frozen=True)
class RecordedAudit:
    """An audit that was finished before.

    Attributes:
      page: the path of its own page.
      source: where its images came from, as it was named.
      images: how many there were.
      schemes: each encryption.
    """

    page: str
    source: str
    images: int
    schemes: tuple[RecordedScheme, ...]


def read_audit(directory: str) -> RecordedAudit:
    """Reads the report of an audit.

    Raises:
      DataError: there is none, or it is damaged.
    """
    path = storage.join(directory, REPORT_FILE)
    try:
        report = read_document(path, _REMEDY)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{directory}: no audit here (no {REPORT_FILE}); name the --output of an `lpe audit`"
        ) from None
    return RecordedAudit(
        page=storage.join(directory, PAGE_FILE),
        source=report.text("source"),
        images=report.integer("images", 1),
        schemes=tuple(map(_scheme, report.objects("schemes"))),
    )


def _scheme(fields: Fields) -> RecordedScheme:
    params = fields.object("params")
    return RecordedScheme(
        cipher=fields.text("cipher"),
        params={name: params.text(name) for name in params.names()},
        scope=fields.text("scope"),
        # A report of before there were reductions has none, and no photographs found.
        reduction=fields.text("reduction") if fields.has("reduction") else "",
        verdict=fields.text("verdict"),
        attacks=tuple(map(_attack, fields.objects("attacks"))),
    )


def _attack(fields: Fields) -> tuple[str, ...]:
    psnr = fields.number("psnr")
    return (
        fields.text("name"),
        fields.text("adversary"),
        str(fields.integer("images")),
        "∞" if psnr >= MAX_PSNR else f"{psnr:.1f} dB",
        f"{fields.number('ssim', -1, 1):.3f}",
        f"{fields.number('exact', 0, 1):.1%}",
        found(_reidentification(fields)),
    )


def _reidentification(fields: Fields) -> Reidentification | None:
    """None in a report of before it was measured."""
    if not fields.has("reidentification") or fields.is_null("reidentification"):
        return None
    measured = fields.object("reidentification")
    candidates = measured.integer("candidates", 1)
    return Reidentification(
        measured.number("first", 0, 1),
        measured.number("median", 1, candidates),
        candidates,
        measured.text("by"),
    )
