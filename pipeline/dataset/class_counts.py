"""How many images of each class a split has, in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

_MOST = 20  # listed whole; of more, the first
_FIRST = 10


def describe(counts: Mapping[str, int]) -> str:
    """Classes with their images: `10 classes: cat (500), dog (480), …`; of many the first, the least, the most."""
    shown = counts if len(counts) <= _MOST else dict(itertools.islice(counts.items(), _FIRST))
    text = f"{len(counts):,} classes: " + ", ".join(f"{name} ({images:,})" for name, images in shown.items())
    if len(shown) == len(counts):
        return text
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    return (
        f"{text}, … and {len(counts) - len(shown):,} more; fewest: {fewest} ({counts[fewest]:,}), most: {most} "
        f"({counts[most]:,})"
    )
