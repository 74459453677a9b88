"""Augmentation: an image may be mirrored or moved, as seed, id and copy alone determine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpe.transforms.augment import Augmentation
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import UsageError


def batch(count=6, shape=(8, 9, 3), first=0):
    images = np.random.default_rng(0).integers(1, 256, (count, *shape), np.uint8)
    return ImageBatch([f"train-{first + i:07d}" for i in range(count)], images, np.arange(count))


def variants(image):
    """All that a crop with padding can make of an image."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    return [padded[y : y + height, x : x + width] for y in range(9) for x in range(9)]


def test_a_flip_is_a_mirror_image_or_nothing():
    many = batch(200)
    made = Augmentation(("flip",), 1).apply(many, 1)
    same = (made.images == many.images).all(axis=(1, 2, 3))
    mirrored = (made.images == many.images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same | mirrored).all()
    assert 60 < mirrored.sum() < 140


@given(st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 3]), st.integers(0, 5), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_a_crop_is_a_window_of_the_padded_image(height, width, channels, seed, copy):
    some = batch(3, (height, width, channels))
    for kinds in (("crop",), ("flip", "crop")):
        made = Augmentation(kinds, 4, seed).apply(some, copy)
        for before, after in zip(some.images, made.images, strict=True):
            windows = variants(before)
            if "flip" in kinds:
                windows += [window[:, ::-1] for window in windows]
            assert any((after == window).all() for window in windows)


def test_every_crop_occurs():
    many = batch(1000)
    made = Augmentation(("crop",), 1).apply(many, 1)
    pairs = zip(many.images, made.images, strict=True)
    rows = [next(i for i, window in enumerate(variants(b)) if (window == a).all()) for b, a in pairs]
    assert set(rows) == set(range(81))


def test_it_follows_from_seed_id_and_copy_alone():
    augmentation = Augmentation(("flip", "crop"), 3)
    whole = augmentation.apply(batch(6), 2)
    part = batch(6)
    alone = augmentation.apply(ImageBatch(part.ids[4:5], part.images[4:5], part.labels[4:5]), 2)
    assert (alone.images == whole.images[4:5]).all()
    assert whole.ids[4] == "train-0000004-augmented-2"
    assert (whole.labels == part.labels).all()
    others = [augmentation.apply(part, 1), Augmentation(("flip", "crop"), 3, seed=1).apply(part, 2)]
    assert all((other.images != whole.images).any() for other in others)


def test_an_empty_batch_stays_empty():
    assert len(Augmentation(("crop",), 1).apply(batch(0), 1)) == 0


@pytest.mark.parametrize(
    ("kinds", "copies", "message"),
    [
        (("turn",), 1, "give some of flip, crop"),
        ((), 1, "give some of"),
        (("flip", "flip"), 1, "each once"),
        (("flip",), 0, "at least 1"),
    ],
)
def test_unknown_kinds_and_no_copies_are_refused(kinds, copies, message):
    with pytest.raises(UsageError, match=message):
        Augmentation(kinds, copies)
