"""Figures of a comparison, as PNG bytes: accuracies as bars (the paper's Fig. 2), and accuracy against privacy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from lpe.pipeline.compare.table import Row
from lpe.pipeline.compare.trials import KINDS
from lpe.train import backend
from lpe.transforms.extras import require

_COLOURS = {"ciphertext": "#4477aa", "front end": "#ee7733", "restored": "#bbbbbb"}
_NAMES = {
    "ciphertext": "the ciphertext as it is",
    "front end": "with a key-free front end",
    "restored": "restored by the best ciphertext-only attack",
}
_MAX_DB = 60.0
"""Better reconstructions than this, exact ones too, are drawn here."""


def bars(rows: Sequence[Row]) -> bytes:
    """Accuracy of each scheme, three bars with error bars, and what was published.

    Raises:
      UsageError: matplotlib is not installed.
    """
    figure, axes = _figure(9, 4)
    width = 0.8 / len(KINDS)
    for k, kind in enumerate(KINDS):
        measured = [(i, row.accuracies[kind]) for i, row in enumerate(rows) if kind in row.accuracies]
        axes.bar(
            [i + (k - 1) * width for i, _ in measured],
            [100 * value.mean for _, value in measured],
            width,
            yerr=[100 * value.spread for _, value in measured],
            capsize=2,
            color=_COLOURS[kind],
            label=_NAMES[kind],
        )
    published = [(i, row.published.accuracy) for i, row in enumerate(rows) if row.published is not None]
    if published:
        axes.plot(
            *zip(*published, strict=True), "k_", markersize=18, label="published, for a far larger network"
        )
    axes.set_xticks(range(len(rows)), [row.cipher for row in rows])
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    return _png(figure)


def frontier(rows: Sequence[Row]) -> bytes:
    """Accuracy lost against the best reconstruction from ciphertexts alone: nearer the lower left is better.

    Raises:
      UsageError: matplotlib is not installed.
    """
    figure, axes = _figure(9, 4.2)
    for row in rows:
        if row.psnr is None:
            continue
        x = min(row.psnr, _MAX_DB)
        if row.as_it_is_gap is not None:
            axes.plot([x, x], [row.gap, row.as_it_is_gap], color="#cccccc", linewidth=1, zorder=1)
            axes.plot(x, row.as_it_is_gap, "o", color=_COLOURS["ciphertext"], zorder=2)
        axes.plot(x, row.gap, "s", color=_COLOURS["front end"], zorder=2)
    for position, names in _labels(rows).items():
        axes.annotate(
            ", ".join(names), position, textcoords="offset points", xytext=(-7, 3), fontsize=8, ha="right"
        )
    axes.plot([], [], "s", color=_COLOURS["front end"], label="behind its front end, where it has one")
    if any(row.as_it_is_gap is not None for row in rows):
        axes.plot([], [], "o", color=_COLOURS["ciphertext"], label=_NAMES["ciphertext"])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(
        xlabel=f"best reconstruction from ciphertexts alone, PSNR in dB ({_MAX_DB:.0f}: exact, or nearly)",
        ylabel="accuracy lost against plain (points)",
        xlim=(0, _MAX_DB + 3),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")
    return _png(figure)


def _labels(rows: Sequence[Row]) -> dict[tuple[float, float], list[str]]:
    """Schemes by the position (dB, points) of their upper mark; those too near each other share a label."""
    upper = {row.cipher: max(row.gap, row.as_it_is_gap or row.gap) for row in rows}
    labels: dict[tuple[float, float], list[str]] = {}
    for row in sorted(rows, key=lambda row: -upper[row.cipher]):
        if row.psnr is None:
            continue
        x, y = min(row.psnr, _MAX_DB), upper[row.cipher]
        near = next((p for p in labels if abs(p[0] - x) < 8 and abs(p[1] - y) < 1.5), (x, y))
        labels.setdefault(near, []).append(row.cipher)
    return labels


def _figure(width: float, height: float) -> tuple[Any, Any]:
    # A Figure of its own, not pyplot: no display, no global state.
    figure = require("matplotlib.figure", backend.extra()).Figure(
        figsize=(width, height), layout="constrained"
    )
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
