"""The comparison's figures as PNG bytes: accuracies as bars (the paper's Fig. 2), and accuracy against privacy."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any

from lpe.pipeline.audit.quality import MOST_PSNR
from lpe.pipeline.compare.table import Row
from lpe.pipeline.compare.trials import KINDS
from lpe.transforms.errors import UsageError

_COLOURS = {"ciphertext": "#4477aa", "front end": "#ee7733", "restored": "#bbbbbb"}
_NAMES = {
    "ciphertext": "the ciphertext as it is",
    "front end": "with a key-free front end",
    "restored": "restored by the best ciphertext-only attack",
}
_MOST_DB = 60.0
"""What is better than this, exact images too, is drawn here."""


def bars(rows: Sequence[Row]) -> bytes:
    """Accuracy of each scheme, three bars with error bars, and what was published."""
    figure, axes = _figure(9, 4)
    width = 0.8 / len(KINDS)
    for k, kind in enumerate(KINDS):
        there = [(i, row.accuracies[kind]) for i, row in enumerate(rows) if kind in row.accuracies]
        axes.bar(
            [i + (k - 1) * width for i, _ in there],
            [100 * value.mean for _, value in there],
            width,
            yerr=[100 * value.spread for _, value in there],
            capsize=2,
            color=_COLOURS[kind],
            label=_NAMES[kind],
        )
    known = [(i, row.published.accuracy) for i, row in enumerate(rows) if row.published is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "k_", markersize=18, label="published, for a far larger network")
    axes.set_xticks(range(len(rows)), [row.cipher for row in rows])
    axes.set(ylabel="test accuracy (%)", ylim=(0, 100))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    return _png(figure)


def frontier(rows: Sequence[Row]) -> bytes:
    """Accuracy lost against the best reconstruction from ciphertexts alone: nearer the lower left is better."""
    figure, axes = _figure(9, 4.2)
    for row in rows:
        if row.psnr is None:
            continue
        at = min(row.psnr, _MOST_DB)
        axes.plot([at, at], [row.gap, row.best_gap], color="#cccccc", linewidth=1, zorder=1)
        axes.plot(at, row.gap, "o", color=_COLOURS["ciphertext"], zorder=2)
        axes.plot(at, row.best_gap, "s", color=_COLOURS["front end"], zorder=2)
    for (at, height), names in _labels(rows).items():
        axes.annotate(
            ", ".join(names), (at, height), textcoords="offset points", xytext=(-7, 3), fontsize=8, ha="right"
        )
    axes.plot([], [], "o", color=_COLOURS["ciphertext"], label=_NAMES["ciphertext"])
    axes.plot([], [], "s", color=_COLOURS["front end"], label="the better of that and the front end")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(
        xlabel=f"best reconstruction from ciphertexts alone, PSNR in dB ({_MOST_DB:.0f}: exact, or nearly)",
        ylabel="accuracy lost against plain (points)",
        xlim=(0, _MOST_DB + 3),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")
    return _png(figure)


def shown_psnr(psnr: float) -> str:
    """A PSNR as people read it."""
    return "exact" if psnr >= MOST_PSNR else f"{psnr:.1f} dB"


def _labels(rows: Sequence[Row]) -> dict[tuple[float, float], list[str]]:
    """Schemes by where their upper point is; those that would be written over each other share a label."""
    found: dict[tuple[float, float], list[str]] = {}
    for row in sorted((row for row in rows if row.psnr is not None), key=lambda row: -row.gap):
        assert row.psnr is not None
        place = (min(row.psnr, _MOST_DB), row.gap)
        near = next((p for p in found if abs(p[0] - place[0]) < 8 and abs(p[1] - place[1]) < 1.5), place)
        found.setdefault(near, []).append(row.cipher)
    return found


def _figure(width: float, height: float) -> tuple[Any, Any]:
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UsageError(
            f"the figures need matplotlib ({error}); pip install 'learnable-pixel-encryption[train]'"
        ) from error
    # A Figure of its own, not pyplot: no display, no global state.
    figure = figure_module.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
