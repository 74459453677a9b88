"""Batches hold images of one shape, with an id and a label each."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.transforms.batch import ImageBatch
from lpe.transforms.image_shape import image_shape_of

IMAGES = np.zeros((2, 4, 5, 3), np.uint8)


def test_other_pixels_for_the_same_examples():
    batch = ImageBatch(["a", "b"], IMAGES, np.array([1, 0]), ["a.png", "b.png"])
    other = batch.replace_images(np.ones((2, 1, 1, 88), np.uint8))
    assert (other.ids, other.origins, len(other)) == (batch.ids, batch.origins, 2)
    assert other.labels is batch.labels
    assert other.images.shape == (2, 1, 1, 88)
    assert not batch.images.any()


@pytest.mark.parametrize("images", [IMAGES[0], IMAGES.astype(np.float32)])
def test_other_arrays_than_images_are_refused(images):
    with pytest.raises(ValueError, match=r"images must be uint8 \[N,H,W,C\]"):
        ImageBatch(["a", "b"], images, np.array([1, 0]))


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="differ in length: 1, 2, 2"):
        ImageBatch(["a"], IMAGES, np.array([1, 0]))


def test_the_shape_of_images():
    assert image_shape_of(IMAGES) == (4, 5, 3)
    assert image_shape_of(IMAGES[:0]) == (4, 5, 3)
    with pytest.raises(ValueError, match="unpack"):
        image_shape_of(IMAGES[0])
