"""The layout of a folder whose images' labels are in a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from lpe.pipeline.sources.layout import Layout, check_cases, is_hidden, is_image
from lpe.pipeline.sources.passed_over import HIDDEN, UNLISTED, UNLISTED_OTHERS, PassedOver
from lpe.pipeline.sources.split_names import SPLITS, usual_split
from lpe.transforms.errors import DataError


def table_layout(
    names: Sequence[str],
    paths: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str] | None,
    shown: tuple[str, str],
    passed_over: PassedOver,
) -> Layout:
    """Gives the files that a table names its labels, and counts the others.

    Paths in the table are below the folder, or below the directory that lies around all of its images. Without splits
    in the table, the paths' first directories are splits if all are called so; else everything is `train`. Classes are
    sorted as those of directories are, labels that are all whole numbers by their size.

    Args:
      names: the files' paths in the folder, sorted.
      paths, labels, splits: of the table's rows.
      shown: the folder and the table, for messages.
      passed_over: counts the files that the table does not name.

    Raises:
      DataError: files are missing, or classes differ in upper and lower case alone.
    """
    folder, table = shown
    numbers = {name: row for row, name in enumerate(names)}
    prefix = _prefix(numbers, paths)
    rows = np.array([numbers.get(prefix + path, -1) for path in paths], np.int64)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise DataError(
            f"{table}: {len(missing):,} of its {len(paths):,} files are not in {folder}, the first is "
            f"{paths[missing[0]]}; put them there, or take them out of the table"
        )
    if splits is None:
        splits = _splits_of(paths)
    class_names = class_order({*labels})
    check_cases(class_names, table, "them")
    classes = {name: number for number, name in enumerate(class_names)}
    label_of = np.full(len(names), -1, np.int32)
    label_of[rows] = [classes[label] for label in labels]
    split_of = np.full(len(names), -1, np.int8)
    split_of[rows] = 0 if splits is None else [SPLITS.index(split) for split in splits]
    for row in np.flatnonzero(split_of < 0).tolist():
        name = names[row]
        hidden = any(map(is_hidden, name.split("/")))
        passed_over.add(HIDDEN if hidden else UNLISTED if is_image(name) else UNLISTED_OTHERS, name)
    found = {split: np.flatnonzero(split_of == number) for number, split in enumerate(SPLITS)}
    return Layout(
        {split: there for split, there in found.items() if len(there)}, label_of, tuple(class_names)
    )


def class_order(labels: Iterable[str]) -> list[str]:
    """Labels sorted, those that are all whole numbers by their size."""
    labels = list(labels)
    if all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _prefix(numbers: dict[str, int], paths: Sequence[str]) -> str:
    """What stands before the table's paths in the folder: nothing, or the directory around all images."""
    images = [name for name in numbers if is_image(name) and not any(map(is_hidden, name.split("/")))]
    around = images[0].split("/")[:-1] if images else []
    last = (
        images[-1].split("/")[:-1] if images else []
    )  # names are sorted: all others have what these two share
    prefix = ""
    for part, other in zip(["", *around], ["", *last], strict=False):
        if part != other:
            break
        prefix += f"{part}/" if part else ""
        if any(prefix + path in numbers for path in paths):
            return prefix
    return ""


def _splits_of(paths: Sequence[str]) -> list[str] | None:
    """The splits that the paths' first directories are, if all are some."""
    splits = [usual_split(path.partition("/")[0]) if "/" in path else None for path in paths]
    known = [split for split in splits if split is not None]
    return known if len(known) == len(paths) else None
