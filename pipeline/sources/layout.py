"""Layouts of a folder: which of its files are of which split and class."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Mapping

import numpy as np

from lpe.pipeline.sources.image_formats import SUFFIXES
from lpe.transforms.errors import DataError

_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Where the files of a folder belong.

    Attributes:
      rows: of each split, in the order of splits, the numbers of its files, int64, ascending.
      labels: the class of each file, int32; of those that are in no split, any number.
      class_names: class i is called class_names[i].
    """

    rows: Mapping[str, np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its ending."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  (a million times)


def is_hidden(part: str) -> bool:
    """Whether a file or directory of this name is none that its user made."""
    return part.startswith(".") or part in _IGNORED


def check_cases(class_names: Iterable[str], path: str, rename: str) -> None:
    """Raises DataError for classes that differ in upper and lower case alone."""
    alike: dict[str, list[str]] = collections.defaultdict(list)
    for name in class_names:
        alike[name.casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            raise DataError(
                f"{path}: the classes {' and '.join(map(repr, names))} differ in upper and lower case alone; rename "
                f"{rename} to one name if they are one class, to clearly different ones if not"
            )
