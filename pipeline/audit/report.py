"""report.json and report.html: what an audit found, for machines and for people. The page needs no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.audit import pictures
from lpe.pipeline.audit.attacking import Audited, Result
from lpe.pipeline.audit.quality import MOST_PSNR, Quality
from lpe.pipeline.audit.verdict import verdict
from lpe.transforms import ciphers

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


def report_json(source: str, images: int, audits: Sequence[Audited]) -> dict[str, Any]:
    """The content of report.json."""
    schemes = [{**audited.to_json(), "verdict": verdict(audited)} for audited in audits]
    return {"source": source, "images": images, "schemes": schemes}


def write(directory: str, source: str, images: int, audits: Sequence[Audited]) -> dict[str, Any]:
    """Writes report.json and report.html to a directory; returns the former's content."""
    value = report_json(source, images, audits)
    storage.write_atomic(
        storage.join(directory, "report.json"), (json.dumps(value, indent=2) + "\n").encode()
    )
    storage.write_atomic(storage.join(directory, "report.html"), _page(source, images, audits).encode())
    return value


def _page(source: str, images: int, audits: Sequence[Audited]) -> str:
    said = html.escape(source)
    summary = "".join(
        f"<tr><td><a href='#{_anchor(a)}'>{html.escape(_title(a))}</a></td><td>{html.escape(verdict(a))}</td></tr>"
        for a in audits
    )
    sections = "".join(map(_section, audits))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lpe audit</title><style>{STYLE}</style></head><body>
<h1>What the encryption gives away</h1>
<p>{images:,} images of {said}. Attackers learn from four of five; every figure is measured on the fifth, which they
have not seen. Quality is compared with the raw ciphertext and with the mean colour of all images, which an attack
that finds out nothing reaches too. Where ciphertexts leave open whether an image is mirrored, turned or negative, which
a person sees at once, the nearest view counts.</p>
<table><tr><th>encryption</th><th>verdict</th></tr>{summary}</table>
<p>A scheme that nothing here breaks is not broken by these attacks. That does not make it secure.</p>
{sections}
</body></html>
"""


def _section(audited: Audited) -> str:
    rows = "".join(map(_row, audited.results))
    agreement = any(result.quality.agreement is not None for result in audited.results)
    head = (
        "<th>attack</th><th>adversary</th><th>images</th><th>PSNR</th><th>SSIM</th><th>MAE</th><th>exact</th>"
    )
    head += "<th>same class</th>" if agreement else ""
    curve = pictures.curves(audited)
    plot = "" if curve is None else f"<figure>{image(curve, 'error against number of images')}</figure>"
    return f"""<h2 id="{_anchor(audited)}">{html.escape(_title(audited))}</h2>
<p class="verdict">{html.escape(verdict(audited))}</p>
{_gallery(audited)}
<table><tr>{head}<th>seconds</th></tr>{rows}
{_floor("ciphertext as it is", audited.ciphertext)}{_floor("mean colour", audited.floor)}</table>
{plot}"""


def _gallery(audited: Audited) -> str:
    rows, names = [audited.plain, audited.shown], ["the images", "their ciphertexts"]
    for adversary in ("ciphertext-only", "learned", "known-plaintext", "chosen-plaintext"):
        best = audited.best(adversary)
        if best is not None:
            rows.append(best.restored)
            names.append(
                f"{best.attack} ({adversary}, {best.images} {'image' if best.images == 1 else 'images'})"
            )
    caption = html.escape("; ".join(names))
    picture = image(pictures.side_by_side(rows), caption)
    return f"<figure>{picture}<figcaption>From top: {caption}.</figcaption></figure>"


def _row(result: Result) -> str:
    cells = [
        result.attack,
        result.adversary,
        str(result.images),
        *_cells(result.quality),
        f"{result.seconds:.1f}",
    ]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _floor(name: str, found: Quality) -> str:
    cells = [name, "", "", *_cells(found), ""]
    return "<tr class='floor'>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _cells(found: Quality) -> list[str]:
    psnr = "∞" if found.psnr >= MOST_PSNR else f"{found.psnr:.1f} dB"
    cells = [psnr, f"{found.ssim:.3f}", f"{found.mae:.1f}", f"{found.exact:.1%}"]
    return [*cells, f"{found.agreement:.0%}"] if found.agreement is not None else cells


def image(png: bytes, text: str) -> str:
    """A picture within the page; `text` says what it shows."""
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{text}">'


def _title(audited: Audited) -> str:
    target = audited.target
    standing = ciphers.resolve_params(target.cipher, {})
    changed = [f"{name}={value}" for name, value in target.params.items() if standing[name] != value]
    return ", ".join([target.cipher, *changed, f"one key per {target.scope}"])


def _anchor(audited: Audited) -> str:
    return html.escape(_title(audited).replace(" ", "-").replace(",", ""))
