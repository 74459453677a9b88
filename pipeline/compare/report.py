"""The report of a comparison: report.json for machines and report.html, a page that needs no network, for people."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.compare import figures, frontier
from lpe.pipeline.compare.table import Row
from lpe.pipeline.compare.trials import CompareSpec
from lpe.pipeline.compare.verdict import verdict
from lpe.pipeline.html.page import render
from lpe.pipeline.jobs import show
from lpe.pipeline.sources.plan import ReadSpec
from lpe.train import front_ends
from lpe.transforms.tables import rows_html

LEAKAGE = (
    "In these schemes accuracy is largely leakage: a network learns from a ciphertext what the ciphertext gives away, "
    "and an analyst can take the same."
)
_SHOWN = 8
"""Images in the picture of what people see."""
_DRAWN_CHANNELS = (1, 3)
_HEADINGS = (
    "scheme",
    "front end",
    "accuracy",
    "lost",
    "restored",
    "best attack",
    "gets",
    "re-id.",
    "beaten by",
    "beaten on re-id. by",
    "published",
)
_ALWAYS = 5
"""Columns of the summary that are there even if there is nothing in them."""


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
            f"One key for the dataset; attackers have at most {learnt_from:,} ciphertexts and no key"
            f"{', on controls as many public images' if spec.controls else ''}."
        )

    @property
    def caveat(self) -> str:
        """What the accuracies are worth."""
        return LEAKAGE

    @property
    def verdict(self) -> tuple[str, ...]:
        """Whether the keys are worth anything, a few sentences; none if nothing with a key was compared."""
        return verdict(self.rows)

    @property
    def legend(self) -> str:
        """What the columns on controls and photographs mean; empty if there is nothing in them."""
        measured = [row.reidentification for row in self.rows if row.reidentification is not None]
        parts = []
        if measured:
            most = max(found.candidates for found in measured)
            parts.append(
                f"Re-id.: how often the right one of {most:,} photographs is ranked first by what is released "
                f"alone; a guess names it in {1 / most:.1%} of the cases."
            )
        if any(row.beaten is not None for row in self.rows):
            parts.append(
                "Beaten by: the control without a key that is at least as accurate and from which no more is restored "
                "(on re-id.: of which no more are re-identified); (≈): as accurate as these figures can tell."
            )
        return " ".join(parts)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of a summary table."""
        headings = [
            "scheme",
            "accuracy",
            "points lost",
            "on restored images",
            "best attack",
            "re-id.",
            "beaten by",
        ]
        rows = []
        for row in self.rows:
            figures = [str(row.accuracy), row.lost, row.restored, row.reconstruction, row.named]
            rows.append([row.title, *figures, row.beaten_by[0]])
            if row.as_it_is is not None:
                rows.append([f"{row.title}, as it is", *row.as_it_is, "", "", "", row.as_it_is_beaten_by[0]])
        filled = [i for i in range(len(headings)) if i < _ALWAYS or any(row[i] for row in rows)]
        return [headings[i] for i in filled], [[row[i] for i in filled] for row in rows]

    def _repr_html_(self) -> str:
        return rows_html(f"test accuracy: {self.setting}", *self.table())

    def content(self) -> dict[str, Any]:
        """The content of report.json."""
        return {
            "source": self.spec.read.source,
            "settings": self.spec.settings(),
            "seeds": self.spec.seeds,
            "images": self.counts,
            "schemes": [row.to_json() for row in self.rows],
            "verdict": list(self.verdict),
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
        "frontier.png": frontier.draw(comparison.rows),
    }
    for name, png in pictures.items():
        storage.write_atomic(storage.join(comparison.spec.work, name), png)
    text = json.dumps(comparison.content(), indent=2) + "\n"
    storage.write_atomic(storage.join(comparison.spec.work, "report.json"), text.encode())
    storage.write_atomic(comparison.page, _page(comparison, pictures))


def _grid(comparison: Comparison) -> bytes:
    read = ReadSpec(f"dataset:{comparison.plain}", data_key=comparison.spec.read.data_key)
    sample = show.sample_schemes(read, comparison.spec.ciphers, None, _SHOWN)
    plain, *encrypted = sample.rows
    reduced = [
        show.sample_schemes(read, (), None, _SHOWN, text).rows[-1] for text in comparison.spec.controls
    ]
    drawn = [row for row in reduced if row.images[0].shape[-1] in _DRAWN_CHANNELS]
    out = io.BytesIO()
    dataclasses.replace(sample, rows=(plain, *drawn, *encrypted)).draw().save(out, "png", optimize=True)
    return out.getvalue()


def _page(comparison: Comparison, pictures: dict[str, bytes]) -> bytes:
    rows = comparison.rows
    sources = [f"{row.title}: {row.published.source}" for row in rows if row.published is not None]
    return render(
        "compare",
        comparison=comparison,
        pictures=pictures,
        headings=_HEADINGS,
        rows=[line for row in rows for line in _lines(row)],
        published=f"Published: {'; '.join(sources)}." if sources else "",
    )


def _lines(row: Row) -> list[list[str]]:
    """A scheme's line, and one for its ciphertexts as they are if they were trained on besides."""
    lines = [
        [
            row.title,
            row.front_end,
            str(row.accuracy),
            row.lost,
            row.restored,
            _best_attack(row),
            row.reconstruction,
            row.named,
            *row.beaten_by,
            "" if row.published is None else f"{row.published.accuracy:.2f} %",
        ]
    ]
    if row.as_it_is is not None:
        quality = ["", "", "", ""]
        lines.append(
            [f"{row.title}, as it is", front_ends.NONE, *row.as_it_is, *quality, *row.as_it_is_beaten_by, ""]
        )
    return lines


def _best_attack(row: Row) -> str:
    if row.scheme.reduction:
        return row.attack or "as it is"  # each image by itself
    return "" if row.attack is None else f"{row.attack}, {row.images} ciphertexts"
