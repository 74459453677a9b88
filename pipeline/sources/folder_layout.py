"""The layout of a folder of images, `[SPLIT/]CLASS/...`: its splits and classes, and what cannot be meant by it."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from lpe.pipeline.sources.layout import Layout, check_cases, is_hidden, is_image
from lpe.pipeline.sources.passed_over import BESIDE, DEEPER, EMPTY, HIDDEN, PassedOver
from lpe.pipeline.sources.split_names import SPLITS, split_meant, usual_split
from lpe.transforms.errors import DataError

_KEEP = {".keep", ".gitkeep"}
"""A file that makes a class directory of a split count as known to be empty."""

Parts = tuple[str, ...]


@dataclasses.dataclass
class _Directory:
    """A directory that has files of its own: its path, and of each kind how many with the first one's name."""

    parts: Parts
    images: int = 0
    first_image: str = ""
    others: int = 0
    first_other: str = ""
    kept: bool = False

    @property
    def visible(self) -> int:
        """Files that are not hidden."""
        return self.images + self.others


def sort_out(
    names: Sequence[str], path: str, passed_over: PassedOver | None = None, directories: Iterable[str] = ()
) -> Layout:
    """Sorts the files of a folder into splits and classes.

    A single directory around it all is stepped into. Hidden files are passed over, and so are files that are no
    images outside of class directories.

    Args:
      names: the files' paths in the folder, with slashes.
      path: the folder, for messages.
      passed_over: counts what is passed over.
      directories: all directories, with files or without, as far as they are known.

    Raises:
      DataError: there are no images, one lies outside of a class directory, or splits or classes cannot be what
        is meant.
    """
    passed_over = passed_over or PassedOver()
    there, where = _directories(names, passed_over)
    images = [directory.parts for directory in there if directory.images]
    if not images:
        raise DataError(f"{path}: no images there; check the path")
    around = _around(images)
    in_splits = all(len(parts) > around and usual_split(parts[around]) for parts in images)
    if in_splits:
        _check_one_of_each({parts[around] for parts in images}, path)
    else:
        _check_no_split(images, around, path)
    split_of = np.full(len(there), -1, np.int32)
    classes: list[str | None] = [None] * len(there)
    for number, directory in enumerate(there):
        parts = directory.parts
        # What lies beside the directories of images (a README, docs/) is none of the dataset.
        inside = parts[:around] == images[0][:around] and not (
            in_splits and (len(parts) <= around or not usual_split(parts[around]))
        )
        inner = parts[around + in_splits :] if inside else ()
        if inner and directory.visible:
            classes[number] = inner[0]
            split_of[number] = SPLITS.index(usual_split(parts[around]) or "") if in_splits else 0
            if len(inner) > 1 and directory.images:
                passed_over.add(DEEPER, directory.first_image, directory.images)
        elif directory.images:
            raise DataError(
                f"{path}/{directory.first_image}: this image is in no class directory; move it into one"
            )
        elif directory.others:
            passed_over.add(BESIDE, directory.first_other, directory.others)
    class_names = tuple(sorted({name for name in classes if name is not None}))
    check_cases(class_names, path, "their directories")
    if in_splits:
        _check_same_classes(there, around, class_names, path)
    _count_empty(directories, images[0][:around], in_splits, {*class_names}, passed_over)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([-1 if name is None else numbers[name] for name in classes], np.int32)
    splits = np.where(where < 0, -1, split_of[where])
    rows = {split: np.flatnonzero(splits == number) for number, split in enumerate(SPLITS)}
    return Layout({split: found for split, found in rows.items() if len(found)}, labels[where], class_names)


def _directories(names: Sequence[str], passed_over: PassedOver) -> tuple[list[_Directory], np.ndarray]:
    """The directories that have files, and the number of each file's; −1 for hidden ones."""
    numbers: dict[str, int] = {}
    there: list[_Directory | None] = []
    where = array.array("i")
    for name in names:
        cut = name.rfind("/") + 1
        folder, base = name[:cut], name[cut:]
        number = numbers.get(folder)
        if number is None:
            number = numbers[folder] = len(there)
            parts = tuple(folder.split("/")[:-1])
            there.append(None if any(map(is_hidden, parts)) else _Directory(parts))
        directory = there[number]
        if directory is None or is_hidden(base):
            if directory is not None and base in _KEEP:
                directory.kept = True
            else:
                passed_over.add(HIDDEN, name)
            number = -1
        elif is_image(base):
            directory.images += 1
            directory.first_image = min(directory.first_image or name, name)
        else:
            directory.others += 1
            directory.first_other = min(directory.first_other or name, name)
        where.append(number)
    return [directory or _Directory(()) for directory in there], np.array(where, np.int32)


def _around(images: list[Parts]) -> int:
    """How many directories lie around it all."""
    around = 0
    while (
        min(len(parts) for parts in images) >= around + 2
        and len({parts[around] for parts in images}) == 1
        and not usual_split(images[0][around])
    ):
        around += 1
    return around


def _check_one_of_each(outer: set[str], path: str) -> None:
    """Refuses two directories that stand for one split."""
    alike: dict[str | None, str] = {}
    for name in sorted(outer):
        other = alike.setdefault(usual_split(name), name)
        if other != name:
            raise DataError(
                f"{path}: {other} and {name} both stand for the split {usual_split(name)}; put the images of one "
                "into the other, or move one out of the folder"
            )


def _check_no_split(images: list[Parts], around: int, path: str) -> None:
    """Refuses directories with classes in them of which some are splits: the others are hardly classes beside these."""
    outer: dict[str, int] = {}
    for parts in images:
        if len(parts) > around:
            outer[parts[around]] = min(len(parts) - around, outer.get(parts[around], len(parts)))
    splits = sorted(name for name, depth in outer.items() if depth >= 2 and usual_split(name))
    others = sorted(name for name in outer if not usual_split(name))
    if not splits or not others:
        return
    raise DataError(
        f"{path}: {', '.join(splits)} {'is a split' if len(splits) == 1 else 'are splits'} and "
        f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} none; rename {others[0]} to "
        f"{split_meant(others[0]) or 'train, validation or test'}, or move it out of the folder, or, if all these are "
        "classes, move them into a directory train"
    )


def _check_same_classes(
    there: list[_Directory], around: int, class_names: tuple[str, ...], path: str
) -> None:
    """Refuses a split that has no directory of a class."""
    found: dict[str, set[str]] = {}
    place: dict[str, str] = {}
    for directory in there:
        inner = directory.parts[around:]
        split = usual_split(inner[0]) if len(inner) >= 2 else None
        if split is not None and (directory.visible or directory.kept):
            found.setdefault(split, set()).add(inner[1])
            place.setdefault(split, "/".join(directory.parts[: around + 1]))
    for split, classes in found.items():
        missing = [name for name in class_names if name not in classes]
        if missing:
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            raise DataError(
                f"{path}/{place[split]}: no images of {', '.join(map(repr, missing[:3]))}{more}, which other splits "
                f"have; add some, or for a class that is known to have none there an empty file "
                f"{place[split]}/{missing[0]}/.keep"
            )


def _count_empty(
    directories: Iterable[str], start: Parts, in_splits: bool, class_names: set[str], passed_over: PassedOver
) -> None:
    """Counts the directories that would be a class's, if they had an image."""
    level = len(start) + in_splits
    for name in directories:
        parts = name.split("/")
        if len(parts) != level + 1 or tuple(parts[: len(start)]) != start or any(map(is_hidden, parts)):
            continue
        if parts[level] not in class_names and not (in_splits and not usual_split(parts[len(start)])):
            passed_over.add(EMPTY, name)
