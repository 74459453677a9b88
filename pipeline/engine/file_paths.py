"""The paths of images that are written as files: split, class, and the original name where it is known."""

from __future__ import annotations

import collections
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from lpe.pipeline.sources.image_formats import SUFFIXES

_MOST_BYTES = 255  # of a file's name, on all usual file systems
_ROOM = 40  # for an ending, and for an id where names are alike


def class_directories(class_names: Sequence[str]) -> list[str]:
    """The directory of each class: its name, made safe, and numbered where a file system may take two for one."""
    names = [safe_name(name) for name in class_names]
    alike = collections.Counter(map(_folded, names))
    return [f"{name}-{i}" if alike[_folded(name)] > 1 else name for i, name in enumerate(names)]


def file_paths(
    ids: Iterable[str], splits: Iterable[str], names: Iterable[str], class_names: Iterable[str]
) -> Mapping[str, str]:
    """The path of each image within its split and class, by its id.

    What stands in the original name up to the directory of the class is left out, since split and class come before
    the path anyway, and its ending becomes `.png`. Names that would differ in their endings, or in upper and lower
    case, alone keep the ending (`a.jpg.png`); what is alike even then gets the id as well.

    Args:
      ids: of the images.
      splits: of each.
      names: the original name of each.
      class_names: all of them.
    """
    classes = frozenset(class_names)
    where: dict[str, tuple[str, str]] = {}
    inner: dict[str, tuple[str, ...]] = {}
    for image_id, split, name in zip(ids, splits, names, strict=True):
        parts = PurePosixPath(name).parts
        within = next((i + 1 for i, part in enumerate(parts[:-1]) if part in classes), 0)
        where[image_id] = (split, parts[within - 1] if within else "")
        inner[image_id] = tuple(safe_name(part) for part in parts[within:] or ("_",))
    paths = {image_id: _path(parts, whole=False) for image_id, parts in inner.items()}
    for image_id in _alike(paths, where):
        paths[image_id] = _path(inner[image_id], whole=True)
    for image_id in _alike(paths, where):
        paths[image_id] = f"{paths[image_id].removesuffix('.png')}-{id_as_name(image_id)}.png"
    return paths


def id_as_name(image_id: str) -> str:
    """An id as a file's name; other ids, other names."""
    name = safe_name(image_id)
    return name if name == image_id else f"{name}-{hashlib.sha256(image_id.encode()).hexdigest()[:12]}"


def safe_name(name: str) -> str:
    """A name as that of one file or directory: nothing in it leads elsewhere, and it is not too long."""
    shown = "".join(
        "_" if letter in "/\\" or unicodedata.category(letter)[0] == "C" else letter for letter in name
    )
    shown = shown.encode()[: _MOST_BYTES - _ROOM].decode(errors="ignore")
    return shown if shown.strip(". ") else f"_{shown}"


def _path(parts: tuple[str, ...], *, whole: bool) -> str:
    last = PurePosixPath(parts[-1])
    stem = last.stem if last.suffix.lower() in SUFFIXES and not whole else last.name
    return "/".join((*parts[:-1], f"{stem}.png"))


def _alike(paths: Mapping[str, str], where: Mapping[str, tuple[str, str]]) -> list[str]:
    """The ids of the images whose paths a file system may take for one."""
    ids: dict[tuple[str, str, str], list[str]] = collections.defaultdict(list)
    for image_id, path in paths.items():
        ids[*where[image_id], _folded(path)].append(image_id)
    return [image_id for group in ids.values() if len(group) > 1 for image_id in group]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
