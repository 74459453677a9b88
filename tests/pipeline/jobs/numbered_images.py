"""Folders of image files whose pixels and class a number tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog")


def draw(
    folder: Path, numbers: range, *, split: str = "", classes: tuple[str, ...] = CLASSES, size: int = 8
) -> Path:
    """Image files of pixels that their number tells, each in the class that it tells too."""
    for number in numbers:
        path = folder / split / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return folder
