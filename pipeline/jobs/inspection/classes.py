"""How many images each class of a source has, in each split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lpe.pipeline.jobs.inspection.survey import Survey

_SHOWN = 10
_EACH_END = 4
"""Of more classes than `_SHOWN`, so many of the largest and of the smallest are."""


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """Readable images.

    Attributes:
      by_split: of each split, by class.
    """

    by_split: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, survey: Survey) -> ClassCounts:
        """The counts of a survey."""
        return cls(
            {
                split: dict(zip(survey.class_names, counts.tolist(), strict=True))
                for split, counts in survey.counts().items()
            }
        )

    @property
    def images(self) -> int:
        """Of all classes."""
        return sum(self.by_class().values())

    def by_class(self) -> dict[str, int]:
        """Images of all splits, by class."""
        names = next(iter(self.by_split.values()))
        return {name: sum(counts[name] for counts in self.by_split.values()) for name in names}

    def __str__(self) -> str:
        counts = self.by_class()
        fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        text = f"{len(counts):,}"
        if counts[fewest] == counts[most]:
            return f"{text}, of {counts[most]:,} images each"
        text += f", from {counts[fewest]:,} ({fewest}) to {counts[most]:,} images ({most})"
        empty = sum(not count for count in counts.values())
        return (
            f"{text}; {empty:,} have none"
            if empty
            else f"{text}, {counts[most] / counts[fewest]:,.1f} times as many"
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows: the images of each class, by split; of very many classes the largest and the smallest."""
        counts = self.by_class()
        names = list(counts)
        if len(names) > _SHOWN:
            names.sort(key=lambda name: -counts[name])
        rows = [
            [name, *(f"{of[name]:,}" for of in self.by_split.values()), f"{counts[name]:,}"] for name in names
        ]
        if len(rows) > _SHOWN:
            between = [f"… {len(rows) - 2 * _EACH_END:,} more", *("…" for _ in self.by_split), "…"]
            rows = [*rows[:_EACH_END], between, *rows[-_EACH_END:]]
        totals = [f"{sum(of.values()):,}" for of in self.by_split.values()]
        return ["class", *self.by_split, "all"], [*rows, ["all", *totals, f"{self.images:,}"]]
