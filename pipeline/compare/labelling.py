"""Labels of points in a figure, put where they cover neither points nor each other."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

SIZE = 7.5
"""Of the text, in typographic points."""
_WIDTH = 0.56
"""Of a letter, in parts of the size."""
_MARK = 4.0
"""Half a mark, in typographic points."""
_LINE = 1.0
"""Half a line's width, with some room."""
_DISTANCES = (6, 14, 24, 36, 50, 66, 84)
_ANGLES = (0, 180, 45, 135, -45, -135, 90, -90, 22, 158, -22, -158)


@dataclasses.dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def label(
    axes: Any,
    marks: Sequence[tuple[float, float]],
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    labels: Sequence[tuple[float, float, str]],
) -> None:
    """Writes labels beside their points, with a line to those that are further away.

    Args:
      axes: drawn already (`Figure.draw_without_rendering`), with limits that stay.
      marks: all points that are drawn.
      lines: the ends of all lines that are, each from left to right or from below to above.
      labels: a point and its text each.
    """
    scale = 72 / axes.figure.dpi  # typographic points for a pixel

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = scale * axes.transData.transform(point)
        return float(x), float(y)

    frame = axes.get_window_extent()
    inside = _Box(*(scale * edge for edge in (frame.x0, frame.y0, frame.x1, frame.y1)))
    taken = [_Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in map(place, marks)]
    for first, last in lines:
        (left, bottom), (right, top) = place(first), place(last)
        taken.append(_Box(left - _LINE, bottom - _LINE, right + _LINE, top + _LINE))
    for x, y, text in labels:
        at_x, at_y = place((x, y))
        size = (_WIDTH * SIZE * len(text) + 2, SIZE + 2)
        places = list(_places(at_x, at_y, size))
        costs = [_cost(box, taken, inside) + 0.01 * i for i, (box, _) in enumerate(places)]
        box, near = places[int(np.argmin(costs))]
        taken.append(box)
        line = None if near else {"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkB": 3}
        note = axes.annotate(
            text,
            (x, y),
            ((box.left + box.right) / 2 - at_x, (box.bottom + box.top) / 2 - at_y),
            textcoords="offset points",
            fontsize=SIZE,
            ha="center",
            va="center",
            arrowprops=line,
            zorder=5,
        )
        note.set_in_layout(False)


def _places(x: float, y: float, size: tuple[float, float]) -> Iterator[tuple[_Box, bool]]:
    """Boxes for a label, nearest first, and whether each is near enough to need no line."""
    width, height = size
    for distance in _DISTANCES:
        for angle in _ANGLES:
            across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + across * (distance + width / 2) - width / 2
            bottom = y + up * (distance + height / 2) - height / 2
            yield _Box(left, bottom, left + width, bottom + height), distance == _DISTANCES[0]


def _cost(box: _Box, taken: Sequence[_Box], inside: _Box) -> float:
    """How much a label here would cover, and how much of it would be outside."""
    area = (box.right - box.left) * (box.top - box.bottom)
    return sum(map(box.overlap, taken)) + 10 * (area - box.overlap(inside))
