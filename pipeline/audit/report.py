"""The report of an audit: report.json for machines and report.html, a page that needs no network, for people."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.audit import pictures
from lpe.pipeline.audit.quality import MAX_PSNR, Quality
from lpe.pipeline.audit.results import AttackResult, SchemeAudit
from lpe.transforms import ciphers
from lpe.transforms.attacks.base import Adversary

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
table { border-collapse: collapse; font-size: 14px; margin: 1rem 0; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
tr.floor td { color: #777; }
figure { margin: 1rem 0; }
figcaption { font-size: 14px; color: #444; }
img { max-width: 100%; image-rendering: pixelated; }
.verdict { font-weight: 600; }
"""
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
        return storage.join(self.output, "report.html")

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
    storage.write_atomic(storage.join(report.output, "report.json"), text.encode())
    storage.write_atomic(report.page, _page(report).encode())


def _page(report: AuditReport) -> str:
    summary = "".join(
        f"<tr><td><a href='#{_anchor(scheme)}'>{html.escape(_title(scheme))}</a></td>"
        f"<td>{html.escape(scheme.verdict)}</td></tr>"
        for scheme in report.schemes
    )
    sections = "".join(map(_section, report.schemes))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lpe audit</title><style>{STYLE}</style></head><body>
<h1>What the encryption gives away</h1>
<p>{report.images:,} images of {html.escape(report.source)}.
Attackers learn from four of five; every figure is measured on the fifth, which they have not seen. Quality is compared
with the raw ciphertext and with the mean colour of all images, which an attack that finds out nothing reaches too.
Where ciphertexts leave open whether an image is mirrored, turned or negative, which a person sees at once, the nearest
view counts.</p>
<table><tr><th>encryption</th><th>verdict</th></tr>{summary}</table>
<p>A scheme that nothing here breaks is not broken by these attacks. That does not make it secure.</p>
{sections}
</body></html>
"""


def _section(scheme: SchemeAudit) -> str:
    rows = "".join(map(_row, scheme.results))
    agreement = any(result.quality.agreement is not None for result in scheme.results)
    head = (
        "<th>attack</th><th>adversary</th><th>images</th><th>PSNR</th><th>SSIM</th><th>MAE</th><th>exact</th>"
    )
    head += "<th>same class</th>" if agreement else ""
    curve = pictures.curves(scheme)
    plot = "" if curve is None else f"<figure>{image_tag(curve, 'error against number of images')}</figure>"
    return f"""<h2 id="{_anchor(scheme)}">{html.escape(_title(scheme))}</h2>
<p class="verdict">{html.escape(scheme.verdict)}</p>
{_gallery(scheme)}
<table><tr>{head}<th>seconds</th></tr>{rows}
{_floor("ciphertext as it is", scheme.ciphertext)}{_floor("mean colour", scheme.floor)}</table>
{plot}"""


def _gallery(scheme: SchemeAudit) -> str:
    rows, names = [scheme.plain, scheme.encrypted], ["the images", "their ciphertexts"]
    for adversary in _GALLERY:
        best = scheme.best(adversary)
        if best is not None:
            rows.append(best.restored)
            names.append(
                f"{best.attack} ({adversary}, {best.images} {'image' if best.images == 1 else 'images'})"
            )
    caption = html.escape("; ".join(names))
    picture = image_tag(pictures.side_by_side(rows), caption)
    return f"<figure>{picture}<figcaption>From top: {caption}.</figcaption></figure>"


def _row(result: AttackResult) -> str:
    cells = [
        result.attack,
        result.adversary,
        str(result.images),
        *_cells(result.quality),
        f"{result.seconds:.1f}",
    ]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _floor(name: str, quality: Quality) -> str:
    cells = [name, "", "", *_cells(quality), ""]
    return "<tr class='floor'>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _cells(quality: Quality) -> list[str]:
    psnr = "∞" if quality.psnr >= MAX_PSNR else f"{quality.psnr:.1f} dB"
    cells = [psnr, f"{quality.ssim:.3f}", f"{quality.mae:.1f}", f"{quality.exact:.1%}"]
    return [*cells, f"{quality.agreement:.0%}"] if quality.agreement is not None else cells


def image_tag(png: bytes, text: str) -> str:
    """An HTML image that holds its PNG; `text`, escaped already, says what it shows."""
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{text}">'


def _title(scheme: SchemeAudit) -> str:
    target = scheme.target
    defaults = ciphers.resolve_params(target.cipher, {})
    changed = [f"{name}={value}" for name, value in target.params.items() if defaults[name] != value]
    return ", ".join([target.cipher, *changed, f"one key per {target.scope}"])


def _anchor(scheme: SchemeAudit) -> str:
    return html.escape(_title(scheme).replace(" ", "-").replace(",", ""))
