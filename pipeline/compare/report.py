"""The report of a comparison: report.json for machines and report.html, a page that needs no network, for people."""

from __future__ import annotations

import dataclasses
import html
import io
import json
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.audit.report import STYLE, image_tag
from lpe.pipeline.compare import figures
from lpe.pipeline.compare.table import Row
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.jobs import show
from lpe.pipeline.sources.plan import ReadSpec

LEAKAGE = (
    "In these schemes accuracy is largely leakage: a network learns from a ciphertext what the ciphertext gives away, "
    "and an analyst can take the same."
)
_SHOWN = 8
"""Images in the picture of what people see."""
_HEADINGS = (
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


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Attributes:
      spec: what was compared.
      plain: the plain dataset's directory.
      counts: images that a network is trained on (`train`), and measured on (`test` or else `validation`).
      rows: a scheme each, `plain` first.
    """

    spec: CompareSpec
    plain: str
    counts: dict[str, int]
    rows: tuple[Row, ...]

    @property
    def page(self) -> str:
        """The path of report.html."""
        return storage.join(self.spec.work, "report.html")

    @property
    def setting(self) -> str:
        """What was run, in a few clauses."""
        spec, counts = self.spec, self.counts
        tested = next(name for name in counts if name != "train")
        copies = spec.augmentation.copies if spec.augmentation is not None else 0
        learnt_from = spec.audit_images * 4 // 5
        augmented = f", {copies} augmented copies of each" if copies else ", no augmentation"
        return (
            f"{spec.read.source}: {counts['train']:,} training images{augmented}, {counts[tested]:,} {tested} images; "
            f"model {spec.model}, {spec.epochs} epochs, batches of {spec.recipe.batch_size}; {spec.seeds} seeds, "
            "mean ± standard deviation; a difference of less than two standard errors is ≈ 0. "
            f"One key for the dataset; attackers have {learnt_from:,} ciphertexts and no key."
        )

    @property
    def caveat(self) -> str:
        """What the accuracies are worth."""
        return LEAKAGE

    def content(self) -> dict[str, Any]:
        """The content of report.json."""
        return {
            "source": self.spec.read.source,
            "settings": self.spec.settings(),
            "seeds": self.spec.seeds,
            "images": self.counts,
            "schemes": [row.to_json() for row in self.rows],
        }

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"output": self.spec.work, **self.content()}


def write(comparison: Comparison) -> None:
    """Writes both files, and the figures beside them, to the work directory.

    Raises:
      UsageError: matplotlib is not installed.
    """
    pictures = {
        "grid.png": _grid(comparison),
        "accuracy.png": figures.bars(comparison.rows),
        "frontier.png": figures.frontier(comparison.rows),
    }
    for name, png in pictures.items():
        storage.write_atomic(storage.join(comparison.spec.work, name), png)
    text = json.dumps(comparison.content(), indent=2) + "\n"
    storage.write_atomic(storage.join(comparison.spec.work, "report.json"), text.encode())
    storage.write_atomic(comparison.page, _page(comparison, pictures).encode())


def _grid(comparison: Comparison) -> bytes:
    read = ReadSpec(f"dataset:{comparison.plain}")
    picture, _ = show.draw_schemes(read, comparison.spec.ciphers, None, _SHOWN)
    out = io.BytesIO()
    picture.save(out, "png", optimize=True)
    return out.getvalue()


def _page(comparison: Comparison, pictures: dict[str, bytes]) -> str:
    rows = comparison.rows
    heads = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    sources = [f"{row.cipher}: {row.published.source}" for row in rows if row.published is not None]
    published = f"Published: {'; '.join(sources)}." if sources else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lpe compare</title><style>{STYLE}
img {{ image-rendering: auto; }}</style></head><body>
<h1>Accuracy on encrypted images, and what it is worth</h1>
<p>{html.escape(comparison.setting)}</p>
<p class="verdict">{html.escape(LEAKAGE)}</p>
<figure>{image_tag(pictures["accuracy.png"], "accuracy of each scheme")}<figcaption>Test accuracy on the ciphertext as
it is, with a front end that is given no key, and on images that the best attack restored from ciphertexts alone.
Published figures are of ShakeDrop and PyramidNet with 28.5 M parameters after 300 epochs: compare differences, not
heights.</figcaption></figure>
<table><tr>{heads}</tr>{"".join(map(_row, rows))}</table>
<p>Lost: points of accuracy against plain images, for the ciphertext as it is and for the better of it and the front
end. Restored exactly: no byte differs, so that the network for plain images is the network.
{html.escape(published)}</p>
<h2>Accuracy against privacy</h2>
<figure>{image_tag(pictures["frontier.png"], "accuracy lost against best reconstruction")}<figcaption>A scheme that
protected and could be learned would be at the lower left.</figcaption></figure>
<h2>What people see</h2>
<figure>{image_tag(pictures["grid.png"], "images, plain and encrypted")}<figcaption>Test images, plain and under each
scheme.</figcaption></figure>
</body></html>
"""


def _row(row: Row) -> str:
    attack = "" if row.attack is None else f"{row.attack}, {row.images} ciphertexts"
    cells = [
        row.cipher,
        row.front_end,
        *row.accuracy_texts,
        *row.lost_texts,
        attack,
        row.reconstruction,
        "" if row.published is None else f"{row.published.accuracy:.2f} %",
    ]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
