"""The equality of examples."""

from __future__ import annotations

import hashlib

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


DIGEST_BYTES = 16
"""Bytes of an example's digest."""


def example_digests(batch: ImageBatch) -> bytes:
    """A digest of id, label and pixels of each example, one after the other."""
    shape = ",".join(map(str, batch.images.shape[1:]))
    digests = []
    for image_id, label, image in zip(batch.ids, batch.labels.tolist(), batch.images, strict=True):
        digest = hashlib.sha256(f"{label} {shape} {image_id}\0".encode())
        digest.update(np.ascontiguousarray(image).data)
        digests.append(digest.digest()[:DIGEST_BYTES])
    return b"".join(digests)
