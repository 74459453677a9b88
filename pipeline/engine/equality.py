"""The equality of examples."""

from __future__ import annotations

import numpy as np

from lpe.transforms.batch import ImageBatch


def equal_examples(first: ImageBatch, second: ImageBatch) -> np.ndarray:
    """Which examples of two batches of N are equal in id, label and pixels, bool [N]."""
    if first.images.shape != second.images.shape:
        return np.zeros(len(first), bool)
    equal: np.ndarray = first.labels == second.labels
    if not np.array_equal(first.images, second.images):
        equal &= (first.images == second.images).reshape(len(first), -1).all(axis=1)
    if first.ids != second.ids:
        equal &= np.array([a == b for a, b in zip(first.ids, second.ids, strict=True)], bool)
    return equal
