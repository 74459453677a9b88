"""Reports of audits, read again: report.json as `report.write` left it, or as somebody else did."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lpe.pipeline import storage
from lpe.pipeline.audit.quality import MAX_PSNR
from lpe.pipeline.audit.report import PAGE_FILE, REPORT_FILE
from lpe.pipeline.storage.documents import Fields, read_document
from lpe.transforms.errors import DataError

_REMEDY = "run `lpe audit` again"


@dataclasses.dataclass(frozen=True)
class RecordedScheme:
    """An encryption that was attacked.

    Attributes:
      cipher, params, scope: see `lpe.transforms.attacks.base.Target`.
      verdict: in words.
      attacks: rows of a table: attack, adversary, images, PSNR, SSIM, share of exact bytes.
    """

    cipher: str
    params: Mapping[str, str]
    scope: str
    verdict: str
    attacks: tuple[tuple[str, ...], ...]

    @property
    def title(self) -> str:
        """The encryption in words."""
        return f"{self.cipher}, one key per {self.scope}"


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
    )
