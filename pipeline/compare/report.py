"""report.json and report.html of a comparison, for machines and for people. The page needs no network."""

from __future__ import annotations

import html
import io
import json
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.audit.report import STYLE, image
from lpe.pipeline.compare import figures, table
from lpe.pipeline.compare.comparison import Compared
from lpe.pipeline.compare.table import LEAKAGE, Row
from lpe.pipeline.compare.trials import KINDS
from lpe.pipeline.jobs import show
from lpe.pipeline.sources.plan import ReadSpec

_SHOWN = 8


def write(compared: Compared) -> dict[str, Any]:
    """Writes both files, and the figures beside them, to the work directory; returns report.json's content."""
    rows = table.rows(compared)
    value = {
        "source": compared.spec.read.source,
        "settings": compared.spec.settings(),
        "seeds": compared.spec.seeds,
        "images": compared.counts,
        "schemes": [row.to_json() for row in rows],
    }
    pictures = {
        "grid.png": _grid(compared),
        "accuracy.png": figures.bars(rows),
        "frontier.png": figures.frontier(rows),
    }
    for name, png in pictures.items():
        storage.write_atomic(storage.join(compared.spec.work, name), png)
    files = {
        "report.json": json.dumps(value, indent=2) + "\n",
        "report.html": _page(compared, rows, pictures),
    }
    for name, text in files.items():
        storage.write_atomic(storage.join(compared.spec.work, name), text.encode())
    return value


def _grid(compared: Compared) -> bytes:
    picture, _ = show.show_ciphers(
        ReadSpec(f"dataset:{compared.plain.directory}"), list(compared.spec.ciphers), None, _SHOWN
    )
    out = io.BytesIO()
    picture.save(out, "png", optimize=True)
    return out.getvalue()


def _page(compared: Compared, rows: list[Row], pictures: dict[str, bytes]) -> str:
    heads = "".join(
        f"<th>{head}</th>"
        for head in (
            "scheme",
            "front end",
            "ciphertext",
            "front end",
            "restored",
            "lost",
            "lost at best",
            "best attack",
            "gets",
            "published",
        )
    )
    sources = [f"{row.cipher}: {row.published.source}" for row in rows if row.published is not None]
    published = f"Published: {'; '.join(sources)}." if sources else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lpe compare</title><style>{STYLE}
img {{ image-rendering: auto; }}</style></head><body>
<h1>Accuracy on encrypted images, and what it is worth</h1>
<p>{html.escape(table.setting(compared))}</p>
<p class="verdict">{html.escape(LEAKAGE)}</p>
<figure>{image(pictures["accuracy.png"], "accuracy of each scheme")}<figcaption>Test accuracy on the ciphertext as it
is, with a front end that is given no key, and on images that the best attack restored from ciphertexts alone. Published
figures are of ShakeDrop and PyramidNet with 28.5 M parameters after 300 epochs: compare differences, not
heights.</figcaption></figure>
<table><tr>{heads}</tr>{"".join(map(_row, rows))}</table>
<p>Lost: points of accuracy against plain images, for the ciphertext as it is and for the better of it and the front
end. Restored exactly: no byte differs, so that the network for plain images is the network.
{html.escape(published)}</p>
<h2>Accuracy against privacy</h2>
<figure>{image(pictures["frontier.png"], "accuracy lost against best reconstruction")}<figcaption>A scheme that
protected and could be learned would be at the lower left.</figcaption></figure>
<h2>What people see</h2>
<figure>{image(pictures["grid.png"], "images, plain and encrypted")}<figcaption>Test images, plain and under each
scheme.</figcaption></figure>
</body></html>
"""


def _row(row: Row) -> str:
    attack = "" if row.attack is None else f"{row.attack}, {row.images} ciphertexts"
    cells = [
        row.cipher,
        row.front_end,
        *(str(row.accuracies.get(kind, "")) for kind in KINDS),
        f"{row.gap:.1f}",
        f"{row.best_gap:.1f}",
        attack,
        "" if row.psnr is None else figures.shown_psnr(row.psnr),
        "" if row.published is None else f"{row.published.accuracy:.2f} %",
    ]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
