"""Charts of figures by epoch, as the coordinates that a template draws."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

_TICKS = 4
_MOST_EPOCHS_NAMED = 6

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Chart:
    """Lines over epochs 1, 2, …, in the coordinates of an SVG, whose y grows downwards.

    Attributes:
      title: what is drawn.
      lines: by name, a point for each epoch.
      x_ticks: where an epoch's number stands, and the number.
      y_ticks: where a value stands, and the value.
      marked: x of the epoch that is marked; None if none is.
    """

    width: ClassVar[int] = 440
    height: ClassVar[int] = 240
    left: ClassVar[int] = 48
    right: ClassVar[int] = 428
    top: ClassVar[int] = 12
    bottom: ClassVar[int] = 208

    title: str
    lines: Mapping[str, Sequence[Point]]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    marked: float | None


def chart(
    title: str, values: Mapping[str, Sequence[float]], *, top: float | None = None, marked: int | None = None
) -> Chart:
    """Places lines on a chart whose values begin at 0.

    Args:
      title: what is drawn.
      values: by name, a finite value of 0 or more for each epoch; as many of each, at least one.
      top: the largest value that there can be; None to choose one above all values.
      marked: an epoch, from 1, to mark.
    """
    epochs = len(next(iter(values.values())))
    top = _round_above(max(map(max, values.values()))) if top is None else top

    def x(epoch: int) -> float:
        share = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.5
        return round(Chart.left + share * (Chart.right - Chart.left), 1)

    def y(value: float) -> float:
        return round(Chart.bottom - value / top * (Chart.bottom - Chart.top), 1)

    step = math.ceil(epochs / _MOST_EPOCHS_NAMED)
    levels = [top * tick / _TICKS for tick in range(_TICKS + 1)]
    return Chart(
        title=title,
        lines={
            name: [(x(epoch), y(value)) for epoch, value in enumerate(line, 1)]
            for name, line in values.items()
        },
        x_ticks=[(x(epoch), str(epoch)) for epoch in range(1, epochs + 1, step)],
        y_ticks=[(y(level), f"{level:.3g}") for level in levels],
        marked=x(marked) if marked is not None else None,
    )


def _round_above(value: float) -> float:
    """A round number that is not less than a value; 1 for 0."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next((unit * factor for factor in (1, 2, 4, 6, 8) if unit * factor >= value), 10 * unit)
