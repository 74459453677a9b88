"""Images that a source has more than once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lpe.pipeline.jobs.inspection.survey import Survey
from lpe.pipeline.records.bad_records import BadRecord
from lpe.pipeline.sources.base import Source

_GROUPS_SHOWN = 5
_COPIES_SHOWN = 4
_LINES = 3


@dataclasses.dataclass(frozen=True)
class Copy:
    """One image of a group of equal ones: its original name, split and class."""

    name: str
    split: str
    class_name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.split}, {self.class_name})"


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Groups of equal images.

    Attributes:
      compared: what was compared, `files` or `pixels`.
      groups: how many groups of two or more equal images there are.
      superfluous: images that could be left out so that each is there once.
      across_classes: groups with different labels: at least one of them is wrong.
      across_splits: groups in several splits: the model is tested on what it was trained on.
      shown: some groups, the worst first, of each some images.
    """

    compared: str
    groups: int
    superfluous: int
    across_classes: int
    across_splits: int
    shown: tuple[tuple[Copy, ...], ...]

    def __str__(self) -> str:
        if not self.groups:
            return f"none (compared: {self.compared})"
        text = f"{self.groups:,} groups of equal {self.compared}, {self.superfluous:,} images too many"
        if self.across_classes:
            text += f"; {self.across_classes:,} ACROSS CLASSES (a label is wrong)"
        if self.across_splits:
            text += f"; {self.across_splits:,} ACROSS SPLITS (a leak from train to test)"
        return text

    def lines(self) -> list[str]:
        """Some of the groups, a line each."""
        return [
            f"{group[0]} = {group[-1]}" + (f" and {len(group) - 2} more" if len(group) > 2 else "")
            for group in self.shown[:_LINES]
        ]

    def to_json(self) -> dict[str, Any]:
        """The part of `--json`."""
        value = dataclasses.asdict(self)
        value["shown"] = [
            [{"name": copy.name, "split": copy.split, "class": copy.class_name} for copy in group]
            for group in self.shown
        ]
        return value


def find(survey: Survey, source: Source) -> Duplicates:
    """The groups of equal images of a survey; those that are shown are looked up in the source once more."""
    rows = np.flatnonzero(survey.readable)
    keys = survey.digests[rows].view(np.dtype("V16")).ravel()
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order]
    starts = (
        np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, int)
    )
    sizes = np.diff(np.append(starts, len(keys)))
    conflict = leak = np.zeros(0, bool)
    if len(starts):
        conflict = _differ(survey.labels[rows], starts)
        leak = _differ(survey.split_of(rows), starts)
    several = np.flatnonzero(sizes > 1)
    worst = several[np.argsort(-(2 * conflict[several].astype(int) + leak[several]), kind="stable")]
    shown = [
        rows[starts[group] : starts[group] + sizes[group]][:_COPIES_SHOWN] for group in worst[:_GROUPS_SHOWN]
    ]
    return Duplicates(
        compared="files" if survey.encoded else "pixels",
        groups=len(several),
        superfluous=int((sizes[several] - 1).sum()),
        across_classes=int(conflict.sum()),
        across_splits=int(leak.sum()),
        shown=_looked_up(survey, source, shown),
    )


def _differ(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Bool [G]: which groups of consecutive values have different ones."""
    different: np.ndarray = np.minimum.reduceat(values, starts) != np.maximum.reduceat(values, starts)
    return different


def _looked_up(survey: Survey, source: Source, groups: list[np.ndarray]) -> tuple[tuple[Copy, ...], ...]:
    copies = {}
    for split, bounds in survey.splits.items():
        wanted = sorted(int(row) for group in groups for row in group if int(row) in bounds)
        for row, name in _names(source, split, bounds.start, wanted):
            copies[row] = Copy(name, split, survey.class_names[survey.labels[row]])
    return tuple(tuple(copies[int(row)] for row in group if int(row) in copies) for group in groups)


def _names(source: Source, split: str, start: int, wanted: list[int]) -> list[tuple[int, str]]:
    """The row and the original name of each wanted image."""

    def pass_over(record: BadRecord) -> None:
        """It was readable a moment ago; what has changed since is left out."""

    if not wanted:
        return []
    part = source.slice(split, np.array(wanted, np.int64) - start)
    encoded = part.encoded(pass_over)
    if encoded is not None:
        return [(wanted[image.offset], image.name) for image in encoded]
    return [
        (wanted[offset], name)
        for batch in part.batches(len(wanted), pass_over)
        for offset, name in zip(batch.offsets.tolist(), batch.names, strict=True)
    ]
