"""The sizes of a source's images."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lpe.pipeline.jobs.inspection.survey import Survey

_SHOWN = 3
_SIDES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)

Size = tuple[int, int]
"""(height, width)."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of images that are turned upright, as the orientation flag in their files says.

    Attributes:
      distinct: how many there are.
      most: the most frequent ones, with how many images each has.
      smallest, median, largest: by number of pixels.
      aspects: the smallest, median and largest ratio of width to height.
      shorter_side: its median.
    """

    distinct: int
    most: tuple[tuple[Size, int], ...]
    smallest: Size
    median: Size
    largest: Size
    aspects: tuple[float, float, float]
    shorter_side: int

    def __str__(self) -> str:
        if self.distinct == 1:
            return f"all {_text(self.smallest)}"
        most = ", ".join(f"{_text(size)} ({count:,})" for size, count in self.most)
        low, middle, high = self.aspects
        return (
            f"{self.distinct:,} (height x width); most: {most}\nsmallest {_text(self.smallest)}, median "
            f"{_text(self.median)}, largest {_text(self.largest)}\nwidth / height from {low:.2f} to {high:.2f}, "
            f"median {middle:.2f}"
        )

    @property
    def usual_side(self) -> int:
        """A side that is usual for networks, and not longer than the shorter sides of most images."""
        return max([side for side in _SIDES if side <= self.shorter_side], default=_SIDES[0])

    def to_json(self) -> dict[str, Any]:
        """The part of `--json`; sizes are [height, width]."""
        value = dataclasses.asdict(self)
        value["most"] = [{"size": size, "images": count} for size, count in self.most]
        return value


def sizes_of(survey: Survey) -> Sizes | None:
    """The sizes of a survey's readable images; None if there are none."""
    heights = survey.heights[survey.readable].astype(np.int64)
    widths = survey.widths[survey.readable].astype(np.int64)
    if not len(heights):
        return None
    sizes, counts = np.unique(heights << 32 | widths, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_SHOWN]
    by_pixels = np.argsort(heights * widths, kind="stable")
    aspects = widths / heights

    def at(index: int) -> Size:
        return int(heights[index]), int(widths[index])

    return Sizes(
        distinct=len(sizes),
        most=tuple(
            ((int(size) >> 32, int(size) & 0xFFFFFFFF), int(count))
            for size, count in zip(sizes[most], counts[most], strict=True)
        ),
        smallest=at(by_pixels[0]),
        median=at(by_pixels[len(by_pixels) // 2]),
        largest=at(by_pixels[-1]),
        aspects=(round(aspects.min(), 3), round(float(np.median(aspects)), 3), round(aspects.max(), 3)),
        shorter_side=int(np.median(np.minimum(heights, widths))),
    )


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
