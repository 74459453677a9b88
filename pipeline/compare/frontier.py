"""The frontier of no key: accuracy against what attackers get, controls without a key as a line, schemes as points."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from lpe.pipeline.compare import labelling
from lpe.pipeline.compare.figures import COLOURS, NAMES, new_figure, png
from lpe.pipeline.compare.schemes import PLAIN, Scheme
from lpe.pipeline.compare.table import NEARLY_ALWAYS, NEARLY_EXACT, Row

_MARKERS = {"thumbnail": "^", "noise": "v", "blur": "D", "bits": "P"}
_OTHER = "X"
_CONTROL, _SHADE, _LEARNED = "#3a7d44", "#3a7d4418", "#aa3377"
_FULL = 60.0
"""Where an axis of privacy ends, and the band begins in which all is given away."""
_STEP = 1.6
_Point = tuple[float, float]
_SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclasses.dataclass(frozen=True)
class _Axis:
    """One way of saying how much is given away, as a scale from 0 to `_FULL`.

    Attributes:
      title: what stands below it.
      end: what stands below the band in which all is given away.
      ticks: positions and what stands there.
      guess: the position that a guess reaches; None where there is none.
      positions: of each row, by its place in the table; None for a row of which nothing is known.
    """

    title: str
    end: str
    ticks: tuple[tuple[float, str], ...]
    guess: float | None
    positions: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """A panel with what is drawn in it: points, the ends of lines, and the labels that points are to get."""

    panel: Any
    marks: list[_Point]
    lines: list[tuple[_Point, _Point]]
    labels: list[tuple[float, float, str]]


def draw(rows: Sequence[Row]) -> bytes:
    """Accuracy against the best reconstruction, and against re-identification where that was measured, as a PNG.

    Raises:
      UsageError: matplotlib is not installed.
    """
    axes = [_reconstruction(rows)]
    if any(row.reidentification is not None for row in rows):
        axes.append(_reidentification(rows))
    figure, panels = new_figure(9.5, 5 * len(axes), len(axes))
    drawn = [_panel(panel, axis, rows) for panel, axis in zip(panels, axes, strict=True)]
    handles = {
        text: handle
        for one in drawn
        for handle, text in zip(*one.panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), fontsize=8, loc="outside lower center", ncols=4)
    figure.draw_without_rendering()
    for one in drawn:
        labelling.label(one.panel, one.marks, one.lines, one.labels)
    return png(figure)


def _reconstruction(rows: Sequence[Row]) -> _Axis:
    ticks = tuple((float(db), str(db)) for db in range(0, int(NEARLY_EXACT), 10))
    return _Axis(
        title="best reconstruction from what is released alone, PSNR in dB",
        end="exact, or nearly",
        ticks=ticks,
        guess=None,
        positions=tuple(_FULL * row.decibels / NEARLY_EXACT for row in rows),
    )


def _reidentification(rows: Sequence[Row]) -> _Axis:
    """A logarithmic scale from what a guess names right."""
    candidates = max(row.reidentification.candidates for row in rows if row.reidentification is not None)
    floor = min(1 / candidates, NEARLY_ALWAYS / 2)

    def position(share: float) -> float:
        return _FULL * math.log(max(share, floor) / floor) / math.log(NEARLY_ALWAYS / floor)

    shares = [share for share in _SHARES if share > 1.5 * floor]
    return _Axis(
        title=f"right photograph of {candidates:,} ranked first, share of images",
        end="always, or nearly",
        ticks=((0.0, _percent(floor)), *((position(share), _percent(share)) for share in shares)),
        guess=0.0,
        positions=tuple(None if row.recognised is None else position(row.recognised) for row in rows),
    )


def _panel(panel: Any, axis: _Axis, rows: Sequence[Row]) -> _Drawn:
    """Draws one axis of privacy."""
    known = [(row, x) for row, x in zip(rows, axis.positions, strict=True) if x is not None]
    places = _side_by_side(known)
    right = max(_FULL + 8 * _STEP, *(places[row.scheme] + 2 * _STEP for row, _ in known))
    accuracies = [
        100 * value.mean for row, _ in known for kind, value in row.accuracies.items() if kind != "restored"
    ]
    low, high = min(accuracies), max(accuracies)
    margin = max(2.0, 0.08 * (high - low))
    panel.set(ylabel="test accuracy (%)", ylim=(low - margin, high + margin), xlim=(-2, right))
    panel.set(xlabel=axis.title)
    panel.set_xticks([x for x, _ in axis.ticks], [text for _, text in axis.ticks])
    panel.annotate(
        axis.end,
        ((_FULL + right) / 2, 0),
        (0, -13),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="center",
    )
    panel.axvline(_FULL, color="#bbbbbb", linewidth=0.8, zorder=0)
    panel.grid(alpha=0.25)
    if axis.guess is not None:
        panel.axvline(axis.guess, color="black", linestyle=":", linewidth=0.8, label="a guess")
    drawn = _Drawn(panel, [], _frontier(panel, known, right), [])
    for row, _ in known:
        x, y = places[row.scheme], 100 * row.accuracy.mean
        if row.as_it_is_gap is not None:
            other = 100 * row.accuracies["ciphertext"].mean
            panel.plot([x, x], [other, y], color="#aaaaaa", linewidth=0.8, zorder=2)
            panel.plot(
                x, other, "o", color=COLOURS["ciphertext"], markersize=5, zorder=3, label=NAMES["ciphertext"]
            )
            drawn.marks.append((x, other))
            drawn.lines.append(((x, min(y, other)), (x, max(y, other))))
        panel.plot(x, y, **_style(row))
        drawn.marks.append((x, y))
        drawn.labels.append((x, y, _label(row.scheme)))
    return drawn


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _side_by_side(known: Sequence[tuple[Row, float]]) -> dict[Scheme, float]:
    """The position of each scheme; those of which all is given away, side by side in the band beyond `_FULL`."""
    places = {row.scheme: x for row, x in known}
    full = [row for row, x in known if x >= _FULL]
    full.sort(key=lambda row: (not row.scheme.needs_no_secret, -row.accuracy.mean))
    places.update({row.scheme: _FULL + (i + 1) * _STEP for i, row in enumerate(full)})
    return places


def _frontier(panel: Any, known: Sequence[tuple[Row, float]], right: float) -> list[tuple[_Point, _Point]]:
    """Draws the best accuracy to be had without a key for at most each x, and what is below it; returns its lines."""
    controls = [(x, 100 * row.accuracy.mean) for row, x in known if row.scheme.needs_no_secret]
    controls.sort(key=lambda point: (point[0], -point[1]))
    if len(controls) < 2:
        return []
    corners, best = [], 0.0
    for x, y in controls:
        if y > best:
            corners += [(x, best), (x, y)]
            best = y
    corners = [*corners[1:], (right, best)]
    xs, ys = zip(*corners, strict=True)
    panel.plot(xs, ys, color=_CONTROL, linewidth=1.4, zorder=1, label="the frontier of no key")
    panel.fill_between(xs, ys, 0, color=_SHADE, linewidth=0, label="a control does better", zorder=0)
    return list(itertools.pairwise(corners))


def _family(scheme: Scheme) -> str:
    """The reduction that a control consists of; empty for `plain`, and for several."""
    name = scheme.reduction.partition("=")[0]
    return name if name in _MARKERS and "," not in scheme.reduction else ""


def _label(scheme: Scheme) -> str:
    """The value alone where the mark tells the reduction."""
    return scheme.reduction.partition("=")[2] if _family(scheme) else scheme.title


def _style(row: Row) -> dict[str, Any]:
    scheme = row.scheme
    if scheme.learned:
        return {
            "marker": "*",
            "color": _LEARNED,
            "markersize": 9,
            "zorder": 4,
            "linestyle": "",
            "label": "learned",
        }
    if scheme.needs_no_secret:
        family = _family(scheme)
        name = "plain images" if scheme == PLAIN else f"{family or 'other control'}, no key"
        marker = "s" if scheme == PLAIN else _MARKERS.get(family, _OTHER)
        return {
            "marker": marker,
            "color": _CONTROL,
            "markersize": 5.5,
            "zorder": 3,
            "linestyle": "",
            "label": name,
        }
    style = {"marker": "s", "color": COLOURS["front end"], "markersize": 5.5, "zorder": 4, "linestyle": ""}
    return {**style, "label": "a scheme with a key, behind its front end if it has one"}
