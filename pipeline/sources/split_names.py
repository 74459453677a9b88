"""Names that stand for a split, in folders, in files' names and in tables of labels."""

from __future__ import annotations

SPLITS = ("train", "validation", "test")
"""The usual splits, in order."""

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
_MEANT = {"tests": "test", "trains": "train", "validate": "validation"}


def usual_split(name: str) -> str | None:
    """The split that a name stands for, in upper or lower case; None if it stands for none."""
    return _SPLIT_OF.get(name.lower())


def split_meant(name: str) -> str | None:
    """The split that is probably meant by a name that stands for none."""
    return _MEANT.get(name.lower())


def all_names() -> str:
    """Every name that stands for a split, for messages."""
    return ", ".join(_SPLIT_OF)
