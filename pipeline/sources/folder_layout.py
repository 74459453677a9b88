"""The layout of a folder of images, `[SPLIT/]CLASS/...`: its splits and classes, and what cannot be meant by it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from lpe.pipeline.sources.image_formats import SUFFIXES
from lpe.transforms.errors import DataError

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_MEANT = {
    "dev": "validation",
    "development": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "tests": "test",
    "trains": "train",
    "validate": "validation",
}
"""Names that are no split's, and what is probably meant."""
_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_KEEP = {".keep", ".gitkeep"}
"""A file that makes a class directory of a split count as known to be empty."""

Parts = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the files of a folder belong.

    Attributes:
      files: of each split, in the order of splits, its files' names, each with its class.
      class_names: sorted.
    """

    files: Mapping[str, list[tuple[str, str]]]
    class_names: tuple[str, ...]


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its ending."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def sort_out(names: Iterable[str], path: str) -> Layout:
    """Sorts the files of a folder into splits and classes.

    A single directory around it all is stepped into. Hidden files are passed over, and so are files that are no
    images outside of class directories.

    Args:
      names: the files' paths in the folder, with slashes.
      path: the folder, for messages.

    Raises:
      DataError: there are no images, one lies outside of a class directory, or splits or classes cannot be what
        is meant.
    """
    shown = {name: tuple(name.split("/")) for name in names}
    kept = {name: parts for name, parts in shown.items() if not _is_hidden(parts)}
    # A file that is no image and lies in no class directory says nothing about the layout.
    images = [parts for parts in kept.values() if is_image(parts[-1])]
    if not images:
        raise DataError(f"{path}: no images there; check the path")
    around = _around(images)
    in_splits = all(parts[around].lower() in _SPLITS for parts in images)
    if not in_splits:
        _check_no_split(images, around, path)
    labelled: dict[str, list[tuple[str, str]]] = {}
    for name, parts in kept.items():
        # What lies beside the directories of images (a README, docs/) is none of the dataset.
        if parts[:around] != images[0][:around] or (in_splits and parts[around].lower() not in _SPLITS):
            continue
        split = _SPLITS[parts[around].lower()] if in_splits else "train"
        inner = parts[around + in_splits :]
        if len(inner) >= 2:
            labelled.setdefault(split, []).append((name, inner[0]))
        elif is_image(name):
            raise DataError(f"{path}/{name}: this image is in no class directory; move it into one")
    class_names = tuple(sorted({label for files in labelled.values() for _, label in files}))
    _check_cases(class_names, path)
    if in_splits:
        _check_same_classes(shown.values(), around, class_names, path)
    ordered = [split for split in ("train", "validation", "test") if split in labelled]
    return Layout({split: labelled[split] for split in ordered}, class_names)


def _is_hidden(parts: Parts) -> bool:
    return any(part.startswith(".") or part in _IGNORED for part in parts)


def _around(images: list[Parts]) -> int:
    """How many directories lie around it all."""
    around = 0
    while (
        len({parts[around] for parts in images}) == 1
        and min(len(parts) for parts in images) >= around + 3
        and images[0][around].lower() not in _SPLITS
    ):
        around += 1
    return around


def _check_no_split(images: list[Parts], around: int, path: str) -> None:
    """Refuses directories with classes in them of which some are splits: the others are hardly classes beside these."""
    outer: dict[str, int] = {}
    for parts in images:
        if len(parts) > around:
            outer[parts[around]] = min(len(parts) - around, outer.get(parts[around], len(parts)))
    splits = sorted(name for name, depth in outer.items() if depth >= 3 and name.lower() in _SPLITS)
    others = sorted(name for name in outer if name.lower() not in _SPLITS and outer[name] >= 2)
    if not splits or not others:
        return
    raise DataError(
        f"{path}: {', '.join(splits)} {'is a split' if len(splits) == 1 else 'are splits'} and "
        f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} none; {_renaming(others)}, or move it out of the "
        f"folder, or, if all these are classes, move them into a directory train"
    )


def _renaming(others: list[str]) -> str:
    first = others[0]
    meant = _MEANT.get(first.lower())
    return f"rename {first} to {meant or 'train, validation or test'}"


def _check_cases(class_names: tuple[str, ...], path: str) -> None:
    alike: dict[str, list[str]] = collections.defaultdict(list)
    for name in class_names:
        alike[name.casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            raise DataError(
                f"{path}: the classes {' and '.join(map(repr, names))} differ in upper and lower case alone; rename "
                "their directories to one name if they are one class, to clearly different ones if not"
            )


def _check_same_classes(names: Iterable[Parts], around: int, class_names: tuple[str, ...], path: str) -> None:
    """Refuses a split that has no directory of a class."""
    there: dict[str, set[str]] = collections.defaultdict(set)
    place: dict[str, str] = {}
    for parts in names:
        inner = parts[around:]
        if len(inner) < 3 or inner[0].lower() not in _SPLITS:
            continue
        if not _is_hidden(parts) or (parts[-1] in _KEEP and not _is_hidden(parts[:-1])):
            split = _SPLITS[inner[0].lower()]
            there[split].add(inner[1])
            place.setdefault(split, "/".join(parts[: around + 1]))
    for split, classes in there.items():
        missing = [name for name in class_names if name not in classes]
        if missing:
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            raise DataError(
                f"{path}/{place[split]}: no images of {', '.join(map(repr, missing[:3]))}{more}, which other splits "
                f"have; add some, or for a class that is known to have none there an empty file "
                f"{place[split]}/{missing[0]}/.keep"
            )
