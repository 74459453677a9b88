"""The accuracies of a comparison as bars (the paper's Fig. 2), and how all its figures become PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from lpe.pipeline.compare.schemes import PLAIN
from lpe.pipeline.compare.table import Row
from lpe.pipeline.compare.trials import KINDS
from lpe.train import backend
from lpe.transforms.extras import require

COLOURS = {"ciphertext": "#4477aa", "front end": "#ee7733", "restored": "#bbbbbb"}
NAMES = {
    "ciphertext": "the ciphertext as it is",
    "front end": "with a key-free front end",
    "restored": "restored by the best ciphertext-only attack",
}
_LETTERS = 90
"""In titles that fit beside each other."""


def bars(rows: Sequence[Row]) -> bytes:
    """Accuracy of plain images and of each scheme, three bars with error bars, and what was published.

    Args:
      rows: all of the comparison; controls are left out, see `frontier`.

    Raises:
      UsageError: matplotlib is not installed.
    """
    figure, (axes,) = new_figure(9, 4)
    rows = [row for row in rows if row.scheme == PLAIN or not row.scheme.needs_no_secret]
    width = 0.8 / len(KINDS)
    for k, kind in enumerate(KINDS):
        measured = [(i, row.accuracies[kind]) for i, row in enumerate(rows) if kind in row.accuracies]
        if not measured:
            continue
        axes.bar(
            [i + (k - 1) * width for i, _ in measured],
            [100 * value.mean for _, value in measured],
            width,
            yerr=[100 * value.spread for _, value in measured],
            capsize=2,
            color=COLOURS[kind],
            label=NAMES[kind],
        )
    published = [(i, row.published.accuracy) for i, row in enumerate(rows) if row.published is not None]
    if published:
        axes.plot(
            *zip(*published, strict=True), "k_", markersize=18, label="published, for a far larger network"
        )
    titles = [row.title for row in rows]
    axes.set_xticks(range(len(rows)), titles, rotation=30 if sum(map(len, titles)) > _LETTERS else 0)
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    return png(figure)


def new_figure(width: float, height: float, panels: int = 1) -> tuple[Any, list[Any]]:
    """A figure of this size in inches, and its panels from top to bottom. Raises UsageError."""
    # A Figure of its own, not pyplot: no display, no global state.
    figure = require("matplotlib.figure", backend.extra()).Figure(
        figsize=(width, height), layout="constrained"
    )
    return figure, list(figure.subplots(panels, squeeze=False)[:, 0])


def png(figure: Any) -> bytes:
    """The figure drawn."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
